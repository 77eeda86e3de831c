import type { FunctionFolder } from '../../infra/bundle.ts';

/** Largest bundle of each function in KB (1024 bytes), because bytes slow down cold starts. */
export const BUNDLE_BUDGET_KB = {
  'update-adapters': 560,
  'consolidate-patterns': 620,
  personalize: 480,
} as const satisfies Record<FunctionFolder, number>;
