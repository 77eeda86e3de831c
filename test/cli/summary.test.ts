import { expect, test } from 'vitest';
import { simulate } from '../../cli/replay/datasets/simulator.ts';
import { planReplay } from '../../cli/replay/plan.ts';
import { describe, summarize } from '../../cli/replay/summary.ts';

const plan = planReplay(
  simulate({ users: 4, items: 50, interactionsPerUser: 20, embeddingDim: 16, seed: 1 }),
);

/** A summary of a run without measurements, whose adapters have learned this many interactions. */
function summaryOf(interactions: number) {
  return summarize(
    plan,
    { interactions: 0, events: 0, sentTwice: 0, seconds: 0, consolidations: 0 },
    { adapters: 4, interactions, updates: 16, digest: 'd' },
    {
      users: 0,
      aucBase: null,
      aucShared: null,
      aucAdapted: null,
      aucAdaptedInterval: null,
      aucGain: null,
      aucGainInterval: null,
      ndcgBase: 1,
      ndcgShared: 0.75,
      ndcgAdapted: 0.5,
    },
    undefined,
    {
      duplicates: 0,
      quarantined: 0,
      deadLettered: 0,
      delaysMs: [],
      coldStartsMs: [],
      transfer: 'off',
      newcomers: { users: 0, loss: null, lossWithoutAdapter: null, losses: [] },
      example: { userId: 'ada', interactions: 3, liked: ['x'.repeat(40)], before: ['b'], after: [] },
    },
  );
}

test('the summary shows a dash for missing measurements', () => {
  const summary = summaryOf(64);
  expect(JSON.parse(JSON.stringify(summary))).toMatchObject({ aucAdapted: null, aucAdaptedInterval: null });
  const text = describe(summary, plan, undefined);
  expect(text).toMatch(/^ {2}AUC +– +– +– {2}\[–, –\]$/m);
  expect(text).toMatch(/^ {2}skills .*; none is used, transfer is off$/m);
  expect(text).toMatch(/^ {2}NDCG@10 +1\.000 +0\.750 +0\.500$/m);
  expect(text).toMatch(/^ {2}x{35}… +b$/m);
  expect(text).toContain('for ada, in one call, after 3 interactions');
  expect(text).toContain('The own adapter adds – [–, –] of AUC');
});

test.each([
  [64, '64 interactions, every one exactly once'],
  [70, '70 interactions, 6 of them from feedback outside this replay'],
  [60, '60 interactions, 4 fewer than were published'],
])(
  'the summary describes %i applied interactions of 64 published ones correctly',
  (interactions, applied) => {
    expect(describe(summaryOf(interactions), plan, undefined)).toContain(`  applied       ${applied};`);
  },
);
