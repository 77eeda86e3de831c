import type { TestContext } from 'vitest';

/** The effect of an attack on others, for the table of `npm run attacks`. */
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

/** Reports the effect of an attack to `npm run attacks`. */
export function tellHarm({ task }: Pick<TestContext, 'task'>, harm: Harm): void {
  task.meta.harm = harm;
}
