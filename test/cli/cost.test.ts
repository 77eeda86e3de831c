import { PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { billOf, totalOf } from '../../cli/cost/bill.ts';
import { ALTERNATIVES, PRICES, type Price } from '../../cli/cost/prices.ts';
import {
  adapterBytes,
  episodeBytes,
  episodeWriteUnits,
  METRICS,
  MONITORING,
  messageBytes,
  mostFits,
  PER_MESSAGE,
  PER_REQUEST,
  PER_RUN,
  usageOf,
} from '../../cli/cost/usage.ts';
import type { ApiCall } from '../../infra/local/iam/policy.ts';
import { TABLE } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { synthesizedTemplate } from '../infra/template.ts';
import { startWholeStack } from '../stack/running-stack.ts';
import { localDynamoDb } from '../support/local-clients.ts';
import { runAttune } from '../support/run-attune.ts';

const LOAD = {
  interactions: 1_000_000,
  coalesced: 5,
  users: 10_000,
  requests: 300_000,
  embeddingDim: 768,
  rank: 4,
  updateMs: 60,
  personalizeMs: 30,
};
const USERS = 6;

describe('what attune cost counts is what the local stack counts', () => {
  const random = createRandom('cost');
  const items = Array.from({ length: 60 }, () =>
    Float32Array.from({ length: LOAD.embeddingDim }, () => random.normal()),
  );
  let running: Awaited<ReturnType<typeof startWholeStack>>;
  let calls: ApiCall[] = [];
  let lines: string[] = [];
  let bodies: string[] = [];

  beforeAll(async () => {
    running = await startWholeStack(
      { embeddingDim: LOAD.embeddingDim },
      {
        concurrency: 1,
        recordCall: (call) => calls.push(call),
        recordLogs: (_, line) => lines.push(line),
      },
    );
    const basis = basisFromEmbeddings(items, { rank: LOAD.rank, scalingFactor: 1, seed: 1 });
    await running.learning.basis.write({ basis, embeddingModel: 'test-model' });
    // The first message of an instance also reads the shared objects.
    await send('first', 0);
    await ask('first');
    calls = [];
    lines = [];
    bodies = [];
  });
  afterAll(() => running?.stop());

  async function send(userId: string, message: number): Promise<void> {
    const body = encodeFeedbackEvent({
      eventId: `${userId}-${message}-of-ordinary-length`,
      userId,
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: Array.from({ length: LOAD.coalesced }, (_, i) => ({
        itemId: `item-${(message + i) % items.length}`,
        embedding: items[(LOAD.coalesced * message + i) % items.length]!,
        reward: ((message + i) % 10) / 10,
      })),
    });
    bodies.push(body);
    const id = `${userId}-${message}`;
    await running.queue.sendBatch([
      { id: '1', body, messageGroupId: userKey(userId), messageDeduplicationId: id },
    ]);
    await running.stack.idle();
  }

  async function ask(userId: string): Promise<void> {
    await running.lambda.send(
      new InvokeCommand({
        FunctionName: running.output('personalizeFunctionName'),
        Payload: JSON.stringify({ userId, candidates: [{ embedding: Array.from(items[0]!) }] }),
      }),
    );
  }

  /**
   * Calls since the last time. With a prefix, a list is a call; without one, it is the check for a
   * missing object.
   */
  function counted(of: readonly [action: string, resource: RegExp][]): number {
    return calls.filter(({ action, resource, context = {} }) =>
      of.some(
        ([name, pattern]) =>
          action === name && pattern.test(resource) && (name !== 's3:ListBucket' || 's3:prefix' in context),
      ),
    ).length;
  }

  test('for a message of an uncached user', async () => {
    for (let user = 0; user < USERS; user++) await send(`user-${user}`, user);
    const found = {
      sqsReceives: counted([['sqs:ReceiveMessage', /./]]),
      sqsDeletes: counted([['sqs:DeleteMessage', /./]]),
      s3Reads: counted([['s3:GetObject', /./]]),
      s3Writes: counted([
        ['s3:PutObject', /./],
        ['s3:ListBucket', /./],
      ]),
      tablePuts: counted([['dynamodb:PutItem', /./]]),
    };
    const expected = Object.fromEntries(
      Object.keys(found).map((name) => [name, USERS * PER_MESSAGE[name as keyof typeof PER_MESSAGE]]),
    );
    expect(found).toEqual(expected);
    expect(calls.filter(({ action }) => /^(dynamodb|s3|sqs):/.test(action)).length).toBe(
      USERS *
        (PER_MESSAGE.sqsReceives +
          PER_MESSAGE.sqsDeletes +
          PER_MESSAGE.s3Reads +
          PER_MESSAGE.s3Writes +
          PER_MESSAGE.tablePuts) +
        // The check for a missing adapter is not a separate call.
        USERS,
    );
    const metrics = new Set(
      lines.flatMap((line) => [...line.matchAll(/"Name":"(\w+)"/g)].map(([, name]) => name)),
    );
    expect(metrics.size).toBe(METRICS.update);
  });

  test('for sizes of messages, adapters and episodes', async () => {
    const bytes = Math.max(...bodies.map((body) => Buffer.byteLength(body)));
    expect(Math.abs(bytes / messageBytes(LOAD) - 1)).toBeLessThan(0.02);
    const stored = await running.objects.get(`adapters/${userKey('user-1')}`);
    if (stored === undefined || stored === 'not-modified') throw new Error('there is no adapter');
    expect(Math.abs(stored.body.byteLength / adapterBytes(LOAD) - 1)).toBeLessThan(0.05);

    const client = localDynamoDb(running.stack.endpoints.dynamodb);
    try {
      const TableName = running.output('tableName');
      const { Items = [] } = await client.send(new ScanCommand({ TableName }));
      const size = (item: (typeof Items)[number]) =>
        Object.entries(item).reduce(
          (sum, [name, { S, N, B }]) => sum + name.length + (S ?? N ?? B ?? '').length,
          0,
        );
      const largest = Items.sort((a, b) => size(b) - size(a))[0]!;
      expect(Math.abs(size(largest) / episodeBytes(LOAD) - 1)).toBeLessThan(0.1);
      // An episode of a user who is no longer new. Writing to an index costs as much as writing to
      // the table.
      delete largest[TABLE.newcomers.partitionKey];
      largest[TABLE.sortKey] = { S: 'again' };
      const { ConsumedCapacity } = await client.send(
        new PutItemCommand({ TableName, Item: largest, ReturnConsumedCapacity: 'TOTAL' }),
      );
      const indexes = [TABLE.byCell, TABLE.newcomers].filter(({ partitionKey }) => partitionKey in largest);
      expect(ConsumedCapacity!.CapacityUnits! * (1 + indexes.length)).toBe(episodeWriteUnits(LOAD));
    } finally {
      client.destroy();
    }
  });

  test('for a request', async () => {
    calls = [];
    for (let user = 0; user < USERS; user++) await ask(`user-${user}`);
    expect(counted([['s3:GetObject', /./]])).toBe(USERS * PER_REQUEST.s3Reads);
    expect(calls.filter(({ action }) => /^(dynamodb|s3|sqs):/.test(action))).toHaveLength(USERS);
  });

  test('for a run of consolidation', async () => {
    calls = [];
    await running.stack.invoke(running.output('consolidateFunctionName'), { force: true, settleSeconds: 0 });
    const adapters = counted([['s3:GetObject', /\/adapters\//]]);
    // A run that fits the choice model reads the adapters once more for what is picked together,
    // after a list of them, and replaces that object.
    expect(adapters).toBe(2 * (USERS + 1));
    expect(counted([['s3:GetObject', /./]]) - adapters).toBe(PER_RUN.s3Reads + 1);
    expect(
      counted([
        ['s3:PutObject', /./],
        ['s3:ListBucket', /./],
      ]),
    ).toBe(PER_RUN.s3Writes + 2);
    expect(counted([['dynamodb:PutItem', /./]])).toBe(PER_RUN.tablePuts);
  });
});

test('attune cost counts the alarms and the dashboard of the default template', () => {
  const template = synthesizedTemplate();
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
  const metrics = alarms.map(({ Properties: { Metrics = [1] } }) =>
    Metrics.filter(
      (metric: { MetricStat?: object }) => metric.MetricStat !== undefined || Metrics.length === 1,
    ),
  );
  expect(metrics.flat()).toHaveLength(MONITORING.alarmMetrics);
  expect(Object.keys(template.findResources('AWS::CloudWatch::Dashboard'))).toHaveLength(
    MONITORING.dashboards,
  );
});

test('a run reads sampled adapters only when it fits: after 20 more episodes, later a quarter more', () => {
  expect([19, 20, 80, 99, 100].map(mostFits)).toEqual([0, 1, 4, 4, 5]);
  const reads = (messages: number) =>
    usageOf({ ...LOAD, coalesced: 1, interactions: messages, requests: 0 }).s3Reads;
  // A message, its refreshes of two objects, a run for it, and 400 adapters for the first fit.
  expect(reads(20) - reads(19)).toBe(PER_MESSAGE.s3Reads + 2 + PER_RUN.s3Reads + 400);
});

test('a bill is quantities times prices, and half the messages halve the variable cost', () => {
  const usage = usageOf(LOAD);
  expect(usage.messages).toBe(200_000);
  expect(usage.s3Writes).toBe(200_000 * PER_MESSAGE.s3Writes + 2_880 * PER_RUN.s3Writes);
  const lines = billOf(usage, PRICES.us);
  const writes = lines.find(({ per }) => per === 'PUT or LIST')!;
  expect(writes.dollars).toBeCloseTo(usage.s3Writes * 5e-6, 10);
  const half = billOf(usageOf({ ...LOAD, coalesced: 10 }), PRICES.us);
  expect(totalOf(half)).toBeLessThan(totalOf(lines));
});

test('every group of regions has every price, with its source and its date', () => {
  const items = Object.keys(PRICES.us);
  for (const table of Object.values(PRICES)) {
    expect(Object.keys(table).toSorted()).toEqual(items.toSorted());
    for (const { dollars, source, asOf } of Object.values(table).filter((entry) => 'dollars' in entry)) {
      expect(dollars).toBeGreaterThan(0);
      expect(source).toMatch(/^https:/);
      expect(asOf).toMatch(/20\d\d|not confirmed/);
    }
  }
});

test('attune cost refuses a region without prices, and text that is not a number', async () => {
  const args = ['cost', '--events-per-day', '10', '--users', '1'];
  expect(await runAttune([...args, '--region', 'sa-east-1'])).toMatchObject({
    code: 2,
    stderr:
      'attune: --region: found sa-east-1, expected one of us-east-1, us-east-2, us-west-2, eu-west-1, eu-central-1, ap-northeast-1, whose prices are known\n',
  });
  expect(await runAttune([...args, '--dimension', 'x'])).toMatchObject({ code: 2 });
});

test('docs/cost.md shows the output of attune cost, and the sources of prices', async () => {
  const args = ['--events-per-day', '33333.3333', '--users', '10000', '--dimension', '768'];
  const { stdout } = await runAttune(['cost', ...args]);
  const priced = (prices: Readonly<Record<string, unknown>>) =>
    Object.values(prices)
      .filter((entry): entry is Price => Object(entry).dollars !== undefined)
      .map(
        ({ dollars, per, source, asOf }) =>
          `| ${dollars < 0.001 ? `${Number((dollars * 1e6).toFixed(4))} for a million` : dollars} | ${per} | ${asOf} | ${source} |`,
      );
  const page = `# What it costs

\`attune cost\` estimates a month from the load of an application. The example is a million
interactions of 10,000 users, five in a message:

\`\`\`sh
npx attune cost ${args.join(' ')}
\`\`\`

\`\`\`
${stdout.trimEnd()}
\`\`\`

The estimate is on the safe side: every message comes alone, no instance has the user's adapter in
its cache, and functions publish every metric in every hour. The writes of adapters grow with the
load, so let the publisher coalesce. Monitoring does not grow: \`alarms: false\` and
\`dashboard: false\` remove most of the cost of the idle stack. The estimate leaves out free tiers,
which every account has. They cover all of an idle stack except storage and the alarms beyond ten.

\`test/cli/cost.test.ts\` counts the operations of a message, a request and a consolidation run on the
local stack, and fails when they differ from \`cli/cost/usage.ts\`. Some numbers are assumptions: the
billed times (\`--update-ms\`, \`--personalize-ms\`; see the dashboard), one and a half seconds for a
consolidation run, 1,500 bytes of logs per invocation, and five long polls at the queue. A run fits
to users when there is a quarter more feedback than at the last fit. It then reads the adapters of
400 users, and for the choice model those of up to 2,000 more, which the estimate leaves out.

Every event costs one write of two or more units, and a consolidation run half a read unit for 4 KB
of new episodes and 8 for its index. A run that counts also stores
the population model, 44 bytes an item, and S3 keeps earlier versions for 30 days. With feedback
around the clock these are 13 GB or 0.30 $ a month for 100,000 items, and 1.50 $ for 500,000, which
the estimate leaves out. A less frequent \`consolidationSchedule\` costs less, and popularity is then
older.

## Prices

US dollars, without free tiers. A price from AWS's price list for programs is from the edition of
the given day, as public copies quote it. Check prices again before you rely on them.
${Object.values(PRICES)
  .map(
    (table) => `
### ${table.regions.join(', ')}

| price | for one | as of | source |
| --- | --- | --- | --- |
${priced(table).join('\n')}
`,
  )
  .join('')}
## Other services

For the same load, at their lowest price, in us-east-1. These services do other things: Personalize
trains its own models from feedback, and OpenSearch searches for neighbours of a vector and learns
nothing.

| price | for one | as of | source |
| --- | --- | --- | --- |
${priced(ALTERNATIVES).join('\n')}
`;
  await expect(page).toMatchFileSnapshot('../../docs/cost.md');
});
