import { Worker } from 'node:worker_threads';
import { BatchWriteItemCommand, CreateTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { TABLE } from '../../../shared/config/names.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { toItem } from '../../../shared/episodes/episode-item.ts';
import { localDynamoDb } from '../../support/local-clients.ts';

/** Requests, and the capacity that they consumed according to DynamoDB. */
export interface Units {
  queries: number;
  puts: number;
  read: number;
  write: number;
}

export interface MeasuredTable {
  readonly endpoint: string;
  readonly client: DynamoDBClient;
  readonly name: string;
  /** Counts on; read it before and after. */
  readonly units: Units;
  /** Writes episodes in batches, faster than one by one, and without counting them. */
  fill(episodes: readonly Episode[], storedAt: (index: number) => number): Promise<void>;
  stop(): Promise<void>;
}

export const TABLE_NAME = 'bench';
const BATCH = 25;
const PARALLEL = 8;

/**
 * The ReasoningBank's table in a DynamoDB of its own thread, as a function on the local stack meets
 * it.
 */
export async function startTable(): Promise<MeasuredTable> {
  const worker = new Worker(new URL('./dynamodb-worker.ts', import.meta.url));
  const endpoint = await new Promise<string>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const client = localDynamoDb(endpoint);
  const filler = localDynamoDb(endpoint);
  const units = countUnits(client);
  await filler.send(new CreateTableCommand(definition()));
  return {
    endpoint,
    client,
    name: TABLE_NAME,
    units,
    async fill(episodes, storedAt) {
      let next = 0;
      const fillOn = async () => {
        while (next < episodes.length) {
          const from = next;
          next += BATCH;
          const requests = episodes
            .slice(from, next)
            .map((episode, i) => ({ PutRequest: { Item: toItem(episode, storedAt(from + i), 90) } }));
          await filler.send(new BatchWriteItemCommand({ RequestItems: { [TABLE_NAME]: requests } }));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, fillOn));
    },
    async stop() {
      client.destroy();
      filler.destroy();
      await worker.terminate();
    },
  };
}

/** The consumption of the client's requests from now on, according to DynamoDB. */
export function countUnits(client: DynamoDBClient): Units {
  const units = { queries: 0, puts: 0, read: 0, write: 0 };
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next({ ...args, input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } });
        const { ConsumedCapacity } = result.output as { ConsumedCapacity?: { CapacityUnits?: number } };
        const consumed = ConsumedCapacity?.CapacityUnits ?? 0;
        if (commandName === 'PutItemCommand') units.puts += 1;
        if (commandName === 'QueryCommand') {
          units.queries += 1;
          // A query without results is billed too; the local DynamoDB counts it as nothing.
          units.read += Math.max(consumed, 0.5);
        } else units[commandName === 'GetItemCommand' ? 'read' : 'write'] += consumed;
        return result;
      },
    { step: 'initialize' },
  );
  return units;
}

function definition() {
  const { byCell, newcomers } = TABLE;
  const keys = (partition: string, sort: string) => [
    { AttributeName: partition, KeyType: 'HASH' as const },
    { AttributeName: sort, KeyType: 'RANGE' as const },
  ];
  const names = new Set([
    TABLE.partitionKey,
    TABLE.sortKey,
    ...[byCell, newcomers].flatMap(({ partitionKey, sortKey }) => [partitionKey, sortKey]),
  ]);
  return {
    TableName: TABLE_NAME,
    BillingMode: 'PAY_PER_REQUEST' as const,
    KeySchema: keys(TABLE.partitionKey, TABLE.sortKey),
    AttributeDefinitions: [...names].map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
    GlobalSecondaryIndexes: [
      {
        IndexName: byCell.index,
        KeySchema: keys(byCell.partitionKey, byCell.sortKey),
        Projection: { ProjectionType: 'ALL' as const },
      },
      {
        IndexName: newcomers.index,
        KeySchema: keys(newcomers.partitionKey, newcomers.sortKey),
        Projection: { ProjectionType: 'INCLUDE' as const, NonKeyAttributes: [TABLE.expiresAt] },
      },
    ],
  };
}
