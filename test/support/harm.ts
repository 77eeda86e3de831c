import type { TestContext } from 'vitest';

/** What an attack does to others, for the table of `npm run attacks`. */
export interface Harm {
  /** When the attack was found. */
  readonly before: string;
  /** As measured by the test. */
  readonly now: string;
}

declare module 'vitest' {
  interface TaskMeta {
    harm?: Harm;
  }
}

/** Tells `npm run attacks` what an attack did. */
export function tellHarm({ task }: Pick<TestContext, 'task'>, harm: Harm): void {
  task.meta.harm = harm;
}
