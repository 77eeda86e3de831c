import { defineConfig } from 'vitest/config';

/** The tests that must detect the mutants of shared/lora; see stryker.config.json. */
export default defineConfig({
  test: {
    include: ['test/shared/lora/**/*.test.ts'],
    exclude: ['test/shared/lora/endurance.test.ts'],
    env: { ATTUNE_MUTATION: '1' },
    testTimeout: 60_000,
    pool: 'threads',
  },
});
