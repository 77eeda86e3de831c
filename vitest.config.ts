import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Examples import the package by its name.
  resolve: { alias: { 'attune/client': `${import.meta.dirname}/shared/client/index.ts` } },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
});
