export { Attune } from './attune.ts';
export type { AttuneProps, NetworkProps } from './attune-props.ts';
