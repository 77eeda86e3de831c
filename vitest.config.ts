import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Examples import the package by its name.
  resolve: { alias: { 'attune/client': `${import.meta.dirname}/shared/client/index.ts` } },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/run-folder.ts',
    setupFiles: 'test/support/orderly-end.ts',
    // A busy machine takes ten times as long as an idle one.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    // The default leaves one of two cores idle.
    maxWorkers: 2,
  },
});
