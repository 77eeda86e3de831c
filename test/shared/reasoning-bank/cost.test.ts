import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DynamoEpisodeStore } from '../../../shared/episodes/dynamodb-episode-store.ts';
import { InMemoryEpisodeStore } from '../../../shared/episodes/in-memory-episode-store.ts';
import { UnavailableError } from '../../../shared/errors.ts';
import { StoredReasoningBank } from '../../../shared/reasoning-bank/stored-reasoning-bank.ts';
import { measureEpisodes } from '../../bench/bank/episode-costs.ts';
import { history, probe } from '../../bench/bank/history.ts';
import { type MeasuredTable, startTable } from '../../bench/bank/table.ts';

describe('what the bank asks of DynamoDB', () => {
  let table: MeasuredTable;
  let bank: StoredReasoningBank;

  beforeAll(async () => {
    table = await startTable();
    bank = new StoredReasoningBank(new DynamoEpisodeStore(table.client, { table: table.name, ttlDays: 90 }));
  });
  afterAll(() => table.stop());

  const readUnits = async (run: () => Promise<unknown>) => {
    const before = table.units.read;
    await run();
    return table.units.read - before;
  };

  it('does not grow with the number of episodes, for retrieval and strategy', async () => {
    const query = { rank: 4, samplesSeen: 10 };
    const costs: number[][] = [];
    for (const [from, to] of [
      [0, 800],
      [800, 2400],
    ] as const) {
      await table.fill(history(from, to, Date.now()), () => Date.now());
      const retrieval = await readUnits(() => bank.retrievePatterns(query, { k: 5 }));
      costs.push([retrieval, await readUnits(() => bank.learnStrategy(query))]);
    }
    const [small, large] = costs;
    expect(small![0]).toBeGreaterThan(10);
    expect(large![0]).toBeLessThanOrEqual(1.1 * small![0]!);
    expect(large![1]).toBeLessThanOrEqual(1.1 * small![1]!);
    expect(large![0]).toBeLessThanOrEqual(40);
  });

  it('is one write for an episode, and one small read for the update path', async () => {
    await bank.storePattern(probe(0));
    const written = table.units.write;
    await bank.storePattern(probe(1));
    expect(table.units.write - written).toBe(1);
    await bank.autoConsolidate(1, 0, 1);
    const store = new DynamoEpisodeStore(table.client, { table: table.name, ttlDays: 90 });
    expect(await readUnits(() => store.strategy('bayesian-r4-d64'))).toBe(0.5);
  });

  it('is two write units for a usual update, and more for many interactions or embeddings', async () => {
    const costs = await measureEpisodes();
    const of = (embeddingDim: number) =>
      costs.filter((cost) => cost.embeddingDim === embeddingDim).map(({ writeUnits }) => writeUnits);
    // 5 interactions, 5 with four embeddings, 100, 100 with four embeddings.
    expect(of(64)).toEqual([2, 2, 4, 6]);
    expect(of(768)).toEqual([2, 14, 4, 16]);
  });

  it('stores episodes that every client of the same table sees', async () => {
    const id = await bank.storePattern(probe(2));
    const other = new StoredReasoningBank(
      new DynamoEpisodeStore(table.client, { table: table.name, ttlDays: 90 }),
    );
    expect((await other.retrievePatterns(probe(2).task, { k: 1 }))[0]?.id).toBe(id);
  });
});

it('never reports an unstored episode as stored', async () => {
  const store = new InMemoryEpisodeStore();
  store.store = () => Promise.reject(new UnavailableError('down'));
  await expect(new StoredReasoningBank(store).storePattern(probe(0))).rejects.toThrow('down');
});
