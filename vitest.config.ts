import { defineConfig } from 'vitest/config';

/** Tests of pure code and of stores in memory. They leave nothing behind in their process. */
const PURE = ['test/shared/**/*.test.ts', 'test/functions/**/*.test.ts'];
/** `npm run attacks`. */
const ATTACKS = ['test/attacks/**/*.test.ts'];

export default defineConfig({
  // Examples import the package by its name.
  resolve: { alias: { 'attune/client': `${import.meta.dirname}/shared/client/index.ts` } },
  test: {
    globalSetup: 'test/support/run-folder.ts',
    setupFiles: 'test/support/orderly-end.ts',
    // A busy machine takes ten times as long as an idle one.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    // The default leaves one of two cores idle.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'pure', include: PURE, isolate: false } },
      { extends: true, test: { name: 'attacks', include: ATTACKS } },
      {
        extends: true,
        test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [...PURE, ...ATTACKS] },
      },
    ],
  },
});
