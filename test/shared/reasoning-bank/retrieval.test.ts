import fc from 'fast-check';
import { expect, it } from 'vitest';
import { InMemoryEpisodeStore } from '../../../shared/episodes/in-memory-episode-store.ts';
import type { NewPattern } from '../../../shared/reasoning-bank/bank.ts';
import { StoredReasoningBank } from '../../../shared/reasoning-bank/stored-reasoning-bank.ts';

interface Told {
  readonly samplesSeen: number;
  readonly batchSize: number;
  readonly loss: number;
  readonly reward: number;
  readonly success: boolean;
  readonly user: number;
}

const told = fc.record({
  samplesSeen: fc.nat({ max: 2000 }),
  batchSize: fc.integer({ min: 1, max: 100 }),
  loss: fc.double({ min: 0, max: 1, noNaN: true }),
  reward: fc.double({ min: 0, max: 1, noNaN: true }),
  success: fc.boolean(),
  user: fc.nat({ max: 2 }),
});

/** Retrieval reads the newest 32 of a shard: see docs/reasoning-bank.md. */
const PER_SHARD = 32;

it('returns exactly what brute force over the same candidates returns, on 1,000 random banks', async () => {
  const banks = fc.record({
    patterns: fc.array(told, { maxLength: 60, size: 'max' }),
    repeat: fc.integer({ min: 1, max: 3 }),
    query: told,
    k: fc.integer({ min: 1, max: 80 }),
    minReward: fc.double({ min: 0, max: 1, noNaN: true }),
    filter: fc.constantFrom({}, { onlySuccesses: true }, { onlyFailures: true }),
  });
  let cut = 0;
  await fc.assert(
    fc.asyncProperty(banks, async ({ patterns, repeat, query, k, minReward, filter }) => {
      let now = 0;
      const bank = new StoredReasoningBank(new InMemoryEpisodeStore({ now: () => now }), { now: () => now });
      const all = Array.from({ length: repeat }, () => patterns).flat();
      for (const entry of all) {
        now += 1;
        await bank.storePattern(patternOf(entry, now));
      }
      const { samplesSeen, batchSize, loss } = query;
      const context = { rank: 4, samplesSeen, batchSize, loss };
      const found = await bank.retrievePatterns(context, { k, minReward, ...filter });

      const newest = candidates(all, Math.max(PER_SHARD, 2 * Math.ceil(k / 16)));
      if (newest.length < all.length) cut += 1;
      const expected = newest
        .filter(({ entry }) => entry.reward >= minReward)
        .filter(({ entry }) => !('onlySuccesses' in filter) || entry.success)
        .filter(({ entry }) => !('onlyFailures' in filter) || !entry.success)
        .map(({ entry, storedAt }) => ({ storedAt, distance: distance(entry, query) }))
        .sort((a, b) => a.distance - b.distance || b.storedAt - a.storedAt)
        .slice(0, k);
      expect(found.map(({ tokensUsed }) => tokensUsed)).toEqual(expected.map(({ storedAt }) => storedAt));
    }),
    { numRuns: 1000 },
  );
  expect(cut).toBeGreaterThan(10);
});

function patternOf({ user, reward, success, ...context }: Told, storedAt: number): NewPattern {
  return {
    sessionId: 's',
    task: 'adapt',
    userId: `user-${user}`,
    version: storedAt,
    success,
    reward,
    tokensUsed: storedAt,
    context: { rank: 4, ...context },
  };
}

/** The newest of every user's shard. The three users have one each. */
function candidates(all: readonly Told[], perShard: number) {
  const numbered = all.map((entry, i) => ({ entry, storedAt: i + 1 }));
  return [...Map.groupBy(numbered, ({ entry }) => entry.user).values()].flatMap((own) =>
    own.slice(-perShard),
  );
}

function distance(a: Told, b: Told): number {
  const octaves = (x: number, y: number) => Math.abs(Math.log2(x / y));
  const seen = 0.5 * octaves(a.samplesSeen + 1, b.samplesSeen + 1);
  return (
    seen + 0.25 * octaves(a.batchSize + 1, b.batchSize + 1) + 0.25 * octaves(a.loss + 1e-3, b.loss + 1e-3)
  );
}
