import { mkdtempSync } from 'node:fs';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoints } from '../../infra/local/environment.ts';
import { type ApiCall, decide, type Statement } from '../../infra/local/iam/policy.ts';
import { LocalStack, type LocalStackOptions, STACK_LOG } from '../../infra/local/local-stack.ts';
import type { Template } from '../../infra/local/template.ts';
import { synthesize } from '../../infra/synth.ts';
import { MANIFEST_KEY } from '../../shared/catalogue/catalogue-keys.ts';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { settingsFromContext } from '../../shared/config/settings.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { SqsFeedbackQueue } from '../../shared/feedback/sqs-queue.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { ManualClock } from '../infra/local/manual-clock.ts';
import { localClients } from '../support/local-clients.ts';

const SETTINGS = settingsFromContext({ embeddingDim: 16, embeddingModel: 'test' });
const HOUR_MS = 3_600_000;
const random = createRandom('permissions');
const items = Array.from({ length: 40 }, (_, i) => ({
  itemId: `item-${i}`,
  embedding: Float16Array.from({ length: SETTINGS.embeddingDim }, () => random.normal()),
  attributes: {},
}));

const folder = mkdtempSync(join(tmpdir(), 'attune-permissions-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const assemblies = new Map<string, string>();
let runs = 0;

/** The folder of the stack with these settings, synthesized once. */
function assemblyOf(settings: Readonly<Record<string, unknown>>): string {
  const name = JSON.stringify(settings);
  const outdir = assemblies.get(name) ?? join(folder, `assembly-${assemblies.size}`);
  if (assemblies.has(name)) return outdir;
  const { embeddingDim, embeddingModel } = SETTINGS;
  synthesize({ check: false, outdir, settings: { embeddingDim, embeddingModel, ...settings } });
  assemblies.set(name, outdir);
  return outdir;
}

interface Setup {
  /** Changes the template before the stack starts. */
  readonly change?: (template: Template) => void;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Proxies that refuse requests of the functions to S3 and DynamoDB as `faults` says. */
async function faultProxies(
  endpoints: Endpoints,
  faults: { tableDown: boolean; bucketDown: boolean; refusedWrites: number },
) {
  const common = { record: () => {}, kill: () => {} };
  const dynamodb = await startFaultProxy({
    ...common,
    service: 'dynamodb',
    target: endpoints.dynamodb,
    decide: () => undefined,
    down: () => faults.tableDown,
  });
  const s3 = await startFaultProxy({
    ...common,
    service: 's3',
    target: endpoints.s3,
    down: () => faults.bucketDown,
    decide: ({ operation }) =>
      operation === 'PUT adapters/' && faults.refusedWrites-- > 0 ? 'server-error' : undefined,
  });
  return {
    proxies: [dynamodb, s3],
    endpoints: { ...endpoints, dynamodb: dynamodb.endpoint, s3: s3.endpoint },
  };
}

/**
 * The whole stack with its own clock and a table that can be down. Records all calls and denials of
 * roles.
 */
async function startRecorded({ change, settings = {} }: Setup = {}) {
  const assemblyDir = join(folder, `run-${runs++}`);
  await cp(assemblyOf(settings), assemblyDir, { recursive: true });
  if (change !== undefined) {
    const file = join(assemblyDir, 'Attune.template.json');
    const template = JSON.parse(await readFile(file, 'utf8'));
    change(template);
    await writeFile(file, JSON.stringify(template));
  }
  const calls = new Map<string, ApiCall>();
  const denials: string[] = [];
  let onDenied: (message: string) => void = () => {};
  const faults = { tableDown: false, bucketDown: false, refusedWrites: 0 };
  const proxies: { close(): Promise<void> }[] = [];
  const clock = new ManualClock(Date.now());
  const options: LocalStackOptions = {
    assemblyDir,
    clock,
    recordCall: (call) => calls.set(JSON.stringify(call), call),
    recordLogs: (name, line) => {
      if (name !== STACK_LOG) return;
      denials.push(JSON.parse(line).message);
      onDenied(denials[0]!);
    },
    functionEndpoints: async (endpoints) => {
      const between = await faultProxies(endpoints, faults);
      proxies.push(...between.proxies);
      return between.endpoints;
    },
  };
  const stop = async (stack?: LocalStack) => {
    await stack?.stop();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  };
  const stack = await LocalStack.start(options).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const clients = localClients(stack.endpoints);
  const { sqs, s3, lambda } = clients;
  const output = (name: keyof typeof OUTPUT) => stack.outputs[OUTPUT[name]]!;
  return {
    stack,
    calls: () => [...calls.values()],
    denials,
    /** Resolves with the first denial after the call. */
    denied: () =>
      new Promise<string>((resolve) => {
        onDenied = resolve;
      }),
    putUnconditionally: (Key: string) =>
      s3.send(new PutObjectCommand({ Bucket: output('bucketName'), Key, Body: 'x' })),
    clock,
    faults,
    lambda,
    objects: new ObjectStore(s3, output('bucketName')),
    queue: new SqsFeedbackQueue(sqs, output('feedbackQueueUrl')),
    output,
    async stop() {
      clients.destroy();
      await stop(stack);
    },
  };
}
type Recorded = Awaited<ReturnType<typeof startRecorded>>;

async function send(run: Recorded, userId: string, events: readonly number[], named = false) {
  for (const event of events) await publish(run, userId, event, named);
  await run.stack.idle();
}

async function publish({ queue }: Recorded, userId: string, event: number, named = false) {
  const body = encodeFeedbackEvent({
    eventId: `${userId}-${event}`,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: Array.from({ length: 20 }, (_, i) => {
      const { itemId, embedding } = items[(20 * event + i) % items.length]!;
      const reward = embedding[0]! > 0 ? 1 : 0;
      return named ? { itemId, reward } : { itemId, embedding: Float32Array.from(embedding), reward };
    }),
  });
  const id = `${userId}-${event}`;
  await queue.sendBatch([{ id: '1', body, messageGroupId: userKey(userId), messageDeduplicationId: id }]);
}

async function ask(
  { output, lambda }: { output: Recorded['output']; lambda: LambdaClient },
  payload: object,
) {
  await lambda.send(
    new InvokeCommand({
      FunctionName: output('personalizeFunctionName'),
      Payload: JSON.stringify(payload),
    }),
  );
}

const consolidate = ({ stack, output }: Recorded) =>
  stack.invoke(output('consolidateFunctionName'), { force: true, settleSeconds: 0 });

/** Writes damaged versions over objects, so that functions read the versions before. */
async function damage({ objects }: Recorded, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    const found = await objects.get(key);
    if (typeof found === 'object') await objects.put(key, new Uint8Array(8), { ifMatch: found.etag });
  }
}

/** Makes the functions do every call that they can ever make. */
async function exerciseAll(run: Recorded, learner: 'bayesian' | 'sgd'): Promise<void> {
  const { stack, objects, queue, faults, clock } = run;
  await new CatalogueWriter(objects, SETTINGS, { basis: null, now: Date.now }).put(items);
  if (learner === 'sgd') {
    const embeddings = items.map(({ embedding }) => Float32Array.from(embedding));
    const basis = basisFromEmbeddings(embeddings, { rank: SETTINGS.rank, scalingFactor: 1, seed: '1' });
    const { embeddingModel } = SETTINGS;
    await learningObjects(objects, { ...SETTINGS, learner }).basis.write({ basis, embeddingModel });
  }
  for (let user = 0; user < 16; user++) await send(run, `user-${user}`, [0, 1], user === 0);
  const bad = { id: '1', body: 'no JSON', messageGroupId: 'x', messageDeduplicationId: 'bad' };
  await queue.sendBatch([bad]);
  faults.tableDown = true;
  await send(run, 'user-1', [2]);
  await consolidate(run).catch(() => {});
  faults.tableDown = false;
  await consolidate(run);
  const cell = cellOf({ ...SETTINGS, learner });
  await damage(run, [`consolidation/${cell}.sample`]);
  for (let user = 0; user < 16; user++) await send(run, `user-${user}`, [3, 4]);
  await consolidate(run);
  await stack.recycle();
  // The second refusal outlasts the SDK's attempts, so that the message must come again.
  faults.refusedWrites = 2;
  await send(run, 'somebody new', [0]);
  await ask(run, { action: 'recommend', userId: 'user-1', limit: 3 });
  await ask(run, { userId: 'nobody', candidates: [{ embedding: Array.from(items[0]!.embedding) }] });
  // What fails stands in the log.
  faults.bucketDown = true;
  await ask(run, { userId: 'user-2', candidates: [{ embedding: Array.from(items[0]!.embedding) }] });
  faults.bucketDown = false;
  clock.advance(HOUR_MS);
  await stack.idle();
  await damage(run, [`basis/${cell}`, `skills/${cell}`, MANIFEST_KEY, `adapters/${userKey('user-1')}`]);
  await stack.recycle();
  await send(run, 'user-3', [5], true);
  await ask(run, { action: 'recommend', userId: 'user-1', limit: 3 });
  await consolidate(run);
}

/** One action on one resource, as granted to a role. */
interface Grant {
  readonly action: string;
  readonly resource: string;
  readonly statement: Statement;
}

function grantsOf(statements: readonly Statement[]): Grant[] {
  return statements.flatMap((statement) =>
    statement.Action.flatMap((action) =>
      statement.Resource.map((resource) => ({ action, resource, statement })),
    ),
  );
}

const only = ({ action, resource, statement }: Grant): Statement => ({
  ...statement,
  Action: [action],
  Resource: [resource],
});

/** Removes an action from all policies of a template. */
function revoke(template: Template, action: string): void {
  for (const { Type, Properties = {} } of Object.values(template.Resources)) {
    if (Type !== 'AWS::IAM::Policy') continue;
    const { Statement: statements } = Properties.PolicyDocument as {
      Statement: { Action: string | string[] }[];
    };
    for (const statement of statements) {
      statement.Action = [statement.Action].flat().map((each) => (each === action ? 'none:None' : each));
    }
  }
}

describe.each(['bayesian', 'sgd'] as const)('the policies of a stack with the learner %s', (learner) => {
  let run: Recorded;
  /** Its scheduler has no permission to start the function, and sends to the dead-letter queue. */
  let held: Recorded;
  beforeAll(async () => {
    const settings = { learner, ...(learner === 'sgd' && { exploration: 0.5 }) };
    run = await startRecorded({ settings });
    await exerciseAll(run, learner);
    held = await startRecorded({ settings, change: (template) => revoke(template, 'lambda:InvokeFunction') });
    held.clock.advance(HOUR_MS);
  });
  afterAll(() => Promise.all([run?.stop(), held?.stop()]));

  test('permit every call that a role makes', () => {
    expect(run.denials).toEqual([]);
    expect(run.stack.permissions.roles).toHaveLength(4);
  });

  test('grant nothing that no call needs, so that a grant too many is named here', () => {
    const calls = [...run.calls(), ...held.calls()];
    const unused = run.stack.permissions.roles.flatMap((role) => {
      const mine = calls.filter(({ principal }) => principal === role);
      return grantsOf(run.stack.permissions.statementsOf(role))
        .filter((grant) => !mine.some((call) => decide([only(grant)], call) === 'allowed'))
        .map(({ action, resource }) => `${role}: ${action} ${resource}`);
    });
    expect(unused).toEqual([]);
  });

  test('deny a call when any one grant is taken away', () => {
    const calls = [...run.calls(), ...held.calls()];
    const spare = run.stack.permissions.roles.flatMap((role) => {
      const mine = calls.filter(({ principal }) => principal === role);
      const grants = grantsOf(run.stack.permissions.statementsOf(role));
      return grants
        .filter((taken) => {
          const left = grants.filter((grant) => grant !== taken).map(only);
          return mine.every((call) => decide(left, call) === 'allowed');
        })
        .map(({ action, resource }) => `${role}: ${action} ${resource}`);
    });
    expect(spare).toEqual([]);
  });
});

describe('a local run under a template that lacks a grant', () => {
  test.each([
    [
      's3:PutObject',
      /UpdateAdaptersRole\w+ is not authorized to perform: s3:PutObject on resource: .*\/adapters\//,
    ],
    ['s3:ListBucket', /is not authorized to perform: s3:ListBucket/],
    ['dynamodb:PutItem', /is not authorized to perform: dynamodb:PutItem on resource: .*:table\//],
    ['logs:PutLogEvents', /is not authorized to perform: logs:PutLogEvents/],
    ['xray:PutTraceSegments', /is not authorized to perform: xray:PutTraceSegments/],
  ])('reports that %s is denied', async (action, message) => {
    const run = await startRecorded({ change: (template) => revoke(template, action) });
    try {
      const denied = run.denied();
      await publish(run, 'ada', 0);
      expect(await denied).toMatch(message);
    } finally {
      await run.stop();
    }
  });

  test.each(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:SendMessage'])(
    'does not start without %s, which Lambda checks when it creates the resource',
    async (action) => {
      await expect(startRecorded({ change: (template) => revoke(template, action) })).rejects.toThrow(
        `is not authorized to perform: ${action}`,
      );
    },
  );
});

test('the policy of the bucket refuses every write of an adapter without a condition', async () => {
  const run = await startRecorded();
  try {
    await expect(run.putUnconditionally('adapters/x')).rejects.toMatchObject({ name: 'AccessDenied' });
    await expect(run.putUnconditionally('quarantine/x')).resolves.toBeDefined();
  } finally {
    await run.stop();
  }
});
