import { parentPort } from 'node:worker_threads';
import { startDynamoDb } from '../../../infra/local/dynamodb.ts';

const { endpoint } = await startDynamoDb({});
parentPort?.postMessage(endpoint);
