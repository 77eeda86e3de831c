/** Kinds of interaction. Each interaction has one of them. */
export const INTERACTION_KINDS = ['reward', 'watch', 'target'] as const;
export type InteractionKind = (typeof INTERACTION_KINDS)[number];
