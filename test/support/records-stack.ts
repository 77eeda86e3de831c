import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { updateUser } from '../../functions/update-adapters/update-user.ts';
import { LocalStack } from '../../infra/local/local-stack.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { OUTPUT, TABLE } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { Quarantine } from '../../shared/feedback/quarantine.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { writeAssembly } from './assembly-fixture.ts';
import { Container, createWorld } from './container.ts';
import { event, ITEMS } from './feedback-events.ts';
import { localClients } from './local-clients.ts';
import { runAttune } from './run-attune.ts';

const { byCell, newcomers } = TABLE;
const index = ({ index: IndexName, partitionKey, sortKey }: typeof byCell | typeof newcomers) => ({
  IndexName,
  KeySchema: [
    { AttributeName: partitionKey, KeyType: 'HASH' },
    { AttributeName: sortKey, KeyType: 'RANGE' },
  ],
  Projection: { ProjectionType: 'ALL' },
});
/** The table as in the template, without properties that have no effect on one machine. */
export const table = {
  Type: 'AWS::DynamoDB::GlobalTable',
  Properties: {
    BillingMode: 'PAY_PER_REQUEST',
    KeySchema: [
      { AttributeName: TABLE.partitionKey, KeyType: 'HASH' },
      { AttributeName: TABLE.sortKey, KeyType: 'RANGE' },
    ],
    AttributeDefinitions: [
      TABLE.partitionKey,
      TABLE.sortKey,
      byCell.partitionKey,
      byCell.sortKey,
      newcomers.partitionKey,
    ].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    GlobalSecondaryIndexes: [index(byCell), index(newcomers)],
  },
};
export const bucket = {
  Type: 'AWS::S3::Bucket',
  Properties: { VersioningConfiguration: { Status: 'Enabled' } },
};
export const queue = { Type: 'AWS::SQS::Queue', Properties: { FifoQueue: true } };
const RESOURCES = {
  Dead: queue,
  Feedback: queue,
  Adapters: bucket,
  OtherBucket: bucket,
  Bank: table,
  OtherBank: table,
};

const ref = (Ref: string) => ({ Value: { Ref } });
const OUTPUTS = {
  [OUTPUT.bucketName]: ref('Adapters'),
  [OUTPUT.tableName]: ref('Bank'),
  [OUTPUT.feedbackQueueUrl]: ref('Feedback'),
  [OUTPUT.deadLetterQueueUrl]: ref('Dead'),
  OtherBucketName: ref('OtherBucket'),
  OtherTableName: ref('OtherBank'),
};

/**
 * The stores of a deployment on the local services, without its functions: bucket, table and
 * queues, and a second bucket and table to restore into.
 * @param settings settings in the outputs that commands read
 */
export async function startRecordsStack(settings: object) {
  const folder = mkdtempSync(join(tmpdir(), 'attune-records-'));
  const stack = await LocalStack.start({ assemblyDir: writeAssembly(folder, RESOURCES, {}, OUTPUTS) });
  const clients = localClients(stack.endpoints);
  const { s3, dynamodb, sqs } = clients;
  const outputs = { ...stack.outputs, [OUTPUT.learningSettings]: JSON.stringify(settings) };
  const outputsFile = join(folder, 'outputs.json');
  writeFileSync(outputsFile, JSON.stringify({ Attune: outputs }));
  const objects = new ObjectStore(s3, stack.outputs[OUTPUT.bucketName]!);
  const records = {
    adapters: new AdapterStore(objects),
    pending: new PendingEpisodes(objects),
    quarantine: new Quarantine(objects),
    episodes: new DynamoEpisodeStore(dynamodb, { table: stack.outputs[OUTPUT.tableName]!, ttlDays: 90 }),
  };
  return {
    stack,
    outputs: stack.outputs,
    s3,
    dynamodb,
    sqs,
    objects,
    ...records,
    /** Runs a command of the command line on this deployment. */
    async attune(args: readonly string[], input = '') {
      const ended = await runAttune([...args, '--outputs', outputsFile], {
        env: { ...stack.environment },
        input,
      });
      return { ...ended, json: () => JSON.parse(ended.stdout.trim().split('\n').at(-1)!) };
    },
    /**
     * One event per version.
     * @param batch distinguishes the events from those of other calls
     */
    async learn(userId: string, events: number, batch = ''): Promise<void> {
      const world = createWorld(ITEMS);
      const services = { ...new Container(world).services, ...records };
      for (let n = 1; n <= events; n++) {
        const applied = event(`e${batch}${n}`, { userId, item: n });
        await updateUser(userKey(userId), [applied], world.learning, services);
      }
    },
    /** An empty folder that is removed with the stack. */
    folder(name: string): string {
      const path = join(folder, name);
      mkdirSync(path);
      return path;
    },
    async stop(): Promise<void> {
      clients.destroy();
      await stack.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

export type RecordsStack = Awaited<ReturnType<typeof startRecordsStack>>;
