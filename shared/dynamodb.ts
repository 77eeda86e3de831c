/// <reference types="node" preserve="true" />
/// <reference lib="esnext.float16" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The ReasoningBank in DynamoDB, for applications that run the engine themselves: `new
 * StoredReasoningBank(new DynamoEpisodeStore(...))`.
 */

export { dynamoClient } from './config/clients/dynamodb.ts';
export {
  DynamoEpisodeStore,
  type DynamoEpisodeStoreOptions,
} from './episodes/dynamodb-episode-store.ts';
