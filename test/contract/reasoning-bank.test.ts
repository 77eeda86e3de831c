import { setTimeout as delay } from 'node:timers/promises';
import { DynamoEpisodeStore } from '../../shared/reasoning-bank/dynamodb-episode-store.ts';
import { InMemoryEpisodeStore } from '../../shared/reasoning-bank/in-memory-episode-store.ts';
import { describeReasoningBank } from './reasoning-bank.ts';
import { dynamoDbUnderTest } from './table.ts';

/** Indexes of DynamoDB on AWS usually follow within a fraction of this. */
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
