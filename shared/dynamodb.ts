/**
 * The ReasoningBank in DynamoDB, for applications that run the engine themselves: `new
 * StoredReasoningBank(new DynamoEpisodeStore(...))`.
 */

export { dynamoClient } from './config/clients/dynamodb.ts';
export {
  DynamoEpisodeStore,
  type DynamoEpisodeStoreOptions,
} from './episodes/dynamodb-episode-store.ts';
