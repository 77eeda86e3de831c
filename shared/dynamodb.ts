/** The ReasoningBank in DynamoDB, for applications that run the engine themselves: `new StoredReasoningBank(new DynamoEpisodeStore(...))`. */
export {
  DynamoEpisodeStore,
  type DynamoEpisodeStoreOptions,
} from './reasoning-bank/dynamodb-episode-store.ts';
export { dynamoClient } from './runtime/clients/dynamodb.ts';
