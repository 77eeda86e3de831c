import { setTimeout as delay } from 'node:timers/promises';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, it } from 'vitest';
import { userKey } from '../../shared/config/user-key.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import type { Episode } from '../../shared/episodes/episode.ts';
import { type Item, toItem } from '../../shared/episodes/episode-item.ts';
import { InMemoryEpisodeStore } from '../../shared/episodes/in-memory-episode-store.ts';
import { CorruptObjectError } from '../../shared/errors.ts';
import { describeReasoningBank } from './reasoning-bank.ts';
import { dynamoDbUnderTest } from './table.ts';

/** The indexes of DynamoDB on AWS usually follow within a fraction of this time. */
const INDEX_DELAY_MS = process.env.ATTUNE_CONTRACT_DYNAMODB ? 2000 : 0;

describeReasoningBank('in memory', async (options) => ({
  store: new InMemoryEpisodeStore(options),
  settle: async () => {},
  stop: async () => {},
}));

describeReasoningBank('in DynamoDB', async (options) => {
  const { client, table, stop } = await dynamoDbUnderTest();
  return {
    store: new DynamoEpisodeStore(client, { table, ...options }),
    settle: () => delay(INDEX_DELAY_MS),
    stop,
  };
});

it.each<[string, Item]>([
  ['loss', { loss: { S: 'little' } }],
  ['residuals', { residuals: { B: new Uint8Array(13) } }],
  ['embeddings', { embeddings: { L: [{ B: new Uint8Array(3) }] } }],
  ['hyperparameters', { hyperparameters: { S: '{' } }],
])('an item of DynamoDB with an unreadable %s does not hide other episodes', async (attribute, damage) => {
  const { client, table, stop } = await dynamoDbUnderTest();
  try {
    const store = new DynamoEpisodeStore(client, { table, ttlDays: 90 });
    const ofVersion = (version: number): Episode => ({
      userKey: userKey('ada'),
      version,
      cell: 'bayesian-r4-d64',
      committedAt: 1,
      context: { events: 1, interactions: 1, samplesSeen: 0, skillsVersion: 0 },
      outcome: { rewards: 1, meanReward: 0.5, loss: 0.1, lossWithoutAdapter: 0.1, lossOfWarmStart: 0.1 },
      residuals: [],
    });
    const now = Date.now();
    for (const version of [1, 2, 3]) {
      const Item = { ...toItem(ofVersion(version), now + version, 90), ...(version === 2 ? damage : {}) };
      await client.send(new PutItemCommand({ TableName: table, Item }));
    }
    await delay(INDEX_DELAY_MS);
    const read = (watermarks: string[]) =>
      Array.fromAsync(store.after('bayesian-r4-d64', watermarks, now + 1000));
    const found = await read([]);
    expect(found.map(({ episode }) => episode?.version)).toEqual([1, undefined, 3]);
    const { error, shard, position } = found[1]!;
    expect(error).toBeInstanceOf(CorruptObjectError);
    expect(error!.message).toContain(`USER#${userKey('ada')} EPISODE#0000000002: attribute ${attribute}: `);
    const watermarks = Array(16).fill('');
    watermarks[shard] = position;
    expect((await read(watermarks)).map(({ episode }) => episode?.version)).toEqual([3]);
    expect(await store.recent('bayesian-r4-d64', 10)).toEqual([ofVersion(3), ofVersion(1)]);
  } finally {
    await stop();
  }
});
