import { defineConfig } from 'vitest/config';

/** Tests of pure code and of stores in memory. They leave nothing behind in their process. */
const PURE = ['test/shared/**/*.test.ts', 'test/functions/**/*.test.ts'];
/**
 * Those of them that read what the whole process holds: the registry of schemas, its memory or its CPU time.
 */
const ALONE = [
  'test/shared/client/feedback-buffer.test.ts',
  'test/shared/contract/contract.test.ts',
  'test/shared/feedback/event.test.ts',
  'test/shared/population/hints.test.ts',
];
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
      { extends: true, test: { name: 'pure', include: PURE, exclude: ALONE, isolate: false } },
      { extends: true, test: { name: 'alone', include: ALONE } },
      { extends: true, test: { name: 'attacks', include: ATTACKS } },
      {
        extends: true,
        test: { name: 'whole', include: ['test/**/*.test.ts'], exclude: [...PURE, ...ATTACKS] },
      },
    ],
  },
});
