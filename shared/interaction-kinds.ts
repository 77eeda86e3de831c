/** What an interaction can say of an item; one of these each. */
export const INTERACTION_KINDS = ['reward', 'watch', 'target'] as const;
export type InteractionKind = (typeof INTERACTION_KINDS)[number];
