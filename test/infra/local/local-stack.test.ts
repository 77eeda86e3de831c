import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Endpoints } from '../../../infra/local/environment.ts';
import { LocalStack, type LocalStackOptions } from '../../../infra/local/local-stack.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { functionResource, temporaryFolder, writeAssembly } from '../../support/assembly-fixture.ts';
import { localClients } from '../../support/local-clients.ts';
import { ManualClock } from './manual-clock.ts';

const RESOURCES = {
  Dead: { Type: 'AWS::SQS::Queue', Properties: { FifoQueue: true } },
  Feedback: {
    Type: 'AWS::SQS::Queue',
    Properties: {
      FifoQueue: true,
      VisibilityTimeout: 3600,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': ['Dead', 'Arn'] }, maxReceiveCount: 5 },
    },
  },
  Adapters: { Type: 'AWS::S3::Bucket', Properties: { VersioningConfiguration: { Status: 'Enabled' } } },
  Bank: {
    Type: 'AWS::DynamoDB::GlobalTable',
    Properties: {
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
    },
  },
  Update: functionResource('update', { Environment: { Variables: { BUCKET: { Ref: 'Adapters' } } } }),
  Mapping: {
    Type: 'AWS::Lambda::EventSourceMapping',
    Properties: {
      EventSourceArn: { 'Fn::GetAtt': ['Feedback', 'Arn'] },
      FunctionName: { Ref: 'Update' },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    },
  },
  Consolidate: functionResource('consolidate'),
  Schedule: {
    Type: 'AWS::Scheduler::Schedule',
    Properties: {
      ScheduleExpression: 'rate(15 minutes)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: { Arn: { 'Fn::GetAtt': ['Consolidate', 'Arn'] }, RoleArn: { 'Fn::GetAtt': ['Role', 'Arn'] } },
    },
  },
  Topic: { Type: 'AWS::SNS::Topic' },
  Role: {
    Type: 'AWS::IAM::Role',
    Properties: {
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'scheduler.amazonaws.com' } },
        ],
      },
    },
  },
  Policy: {
    Type: 'AWS::IAM::Policy',
    Properties: {
      PolicyName: 'start',
      Roles: [{ Ref: 'Role' }],
      PolicyDocument: {
        Version: '2012-10-17',
        Statement: {
          Effect: 'Allow',
          Action: 'lambda:InvokeFunction',
          Resource: { 'Fn::GetAtt': ['Consolidate', 'Arn'] },
        },
      },
    },
  },
  Url: {
    Type: 'AWS::Lambda::Url',
    Properties: { AuthType: 'NONE', TargetFunctionArn: { 'Fn::GetAtt': ['Update', 'Arn'] } },
  },
};
const OUTPUTS = {
  QueueUrl: { Value: { Ref: 'Feedback' } },
  BucketName: { Value: { Ref: 'Adapters' } },
  TableName: { Value: { Ref: 'Bank' } },
  Url: { Value: { 'Fn::GetAtt': ['Url', 'FunctionUrl'] } },
};
const PRINT_BODIES = `export const handler = async ({ Records = [] }) => {
  for (const { body } of Records) console.log('body ' + body);
  console.log(JSON.stringify({ _aws: { CloudWatchMetrics: [{ Metrics: [{ Name: 'Events' }] }] }, Events: Records.length }));
}`;
const PRINT_EVENT = `export const handler = async (event) => console.log('event ' + JSON.stringify(event));`;

function assembly(
  code: { update?: string; consolidate?: string } = {},
  resources: object = RESOURCES,
): string {
  const sources = { update: code.update ?? PRINT_BODIES, consolidate: code.consolidate ?? PRINT_EVENT };
  return writeAssembly(temporaryFolder(), { ...resources } as typeof RESOURCES, sources, OUTPUTS);
}

async function start(options: Partial<LocalStackOptions> = {}) {
  const lines: string[] = [];
  const stack = await LocalStack.start({
    assemblyDir: options.assemblyDir ?? assembly(),
    recordLogs: (_, line) => {
      // Keeps what the function printed, without the errors of failed invocations.
      if (!line.startsWith('{"level":"ERROR"')) lines.push(line);
    },
    ...options,
  });
  onTestFinished(() => stack.stop());
  return {
    stack,
    lines,
    bodies: () => lines.filter((line) => line.startsWith('body ')).map((line) => line.slice(5)),
  };
}

function clientsOf(endpoints: Endpoints) {
  const clients = localClients(endpoints);
  onTestFinished(clients.destroy);
  return clients;
}

async function publish(
  { endpoints, outputs }: Pick<LocalStack, 'endpoints' | 'outputs'>,
  bodies: readonly string[],
) {
  const { sqs } = clientsOf(endpoints);
  for (let i = 0; i < bodies.length; i += 10) {
    const Entries = bodies.slice(i, i + 10).map((MessageBody, n) => ({
      Id: String(n),
      MessageBody,
      MessageGroupId: MessageBody[0],
      MessageDeduplicationId: MessageBody,
    }));
    const { Failed } = await sqs.send(new SendMessageBatchCommand({ QueueUrl: outputs.QueueUrl, Entries }));
    expect(Failed ?? []).toEqual([]);
  }
}

const BODIES = ['a', 'b', 'c', 'd'].flatMap((group) => [1, 2, 3, 4, 5].map((n) => `${group}${n}`));

describe('a local stack', () => {
  it('delivers messages in order to the function of their queue, and is idle when all are done', async () => {
    const { stack, bodies } = await start();
    await publish(stack, BODIES);
    await stack.idle();
    expect(bodies().sort()).toEqual(BODIES);
    for (const group of ['a', 'b', 'c', 'd']) {
      const ofGroup = bodies().filter((body) => body.startsWith(group));
      expect(ofGroup).toEqual(BODIES.filter((body) => body.startsWith(group)));
    }
    expect(stack.metrics.sum('Events')).toBe(BODIES.length);
    expect(
      stack.coldStarts.every(({ functionName, initMs }) => functionName === 'update' && initMs > 0),
    ).toBe(true);
  });

  it('is not idle while a function runs or a message waits', async () => {
    const { stack, lines } = await start({
      assemblyDir: assembly({
        update: `export const handler = async () => {
          await new Promise((resolve) => setTimeout(resolve, 100)); console.log('done'); }`,
      }),
    });
    await publish(stack, ['a1', 'a2']);
    await stack.idle();
    expect(lines).toEqual(['done', 'done']);
    const { lambda } = clientsOf(stack.endpoints);
    await lambda.send(new InvokeCommand({ FunctionName: 'update', InvocationType: 'Event' }));
    await stack.idle();
    expect(lines).toHaveLength(3);
  });

  it('is not idle during an invocation or while a failed asynchronous event waits for a retry', async () => {
    const { stack, lines } = await start({
      clock: new ManualClock(0),
      assemblyDir: assembly({
        update: `export const handler = async ({ fine }) => {
          console.log('run'); if (!fine) throw new Error('no'); }`,
      }),
    });
    const invocation = stack.invoke('update', { fine: true });
    expect(stack.isIdle).toBe(false);
    await invocation;
    expect(stack.isIdle).toBe(true);

    const { lambda } = clientsOf(stack.endpoints);
    await lambda.send(new InvokeCommand({ FunctionName: 'update', InvocationType: 'Event' }));
    await expect.poll(() => lines.filter((line) => line === 'run')).toHaveLength(2);
    await expect(stack.invoke('update', {})).rejects.toThrow('no');
    expect(stack.isIdle).toBe(false);
  });

  it('is not idle while a failed message is in flight', async () => {
    const { stack, lines } = await start({
      assemblyDir: assembly({
        update: `export const handler = async ({ Records }) => {
          console.log('run'); if (Records) throw new Error('no'); }`,
      }),
    });
    await publish(stack, ['a1']);
    await expect.poll(() => lines).toContain('run');
    await stack.invoke('update', {});
    expect(stack.isIdle).toBe(false);
  });

  it('runs a function for the SDK, for its URL and for invoke', async () => {
    const { stack } = await start({
      assemblyDir: assembly({
        update: 'export const handler = async (event) => ({ n: (event.n ?? 0) + 1 })',
      }),
    });
    const { lambda } = clientsOf(stack.endpoints);
    const { Payload } = await lambda.send(new InvokeCommand({ FunctionName: 'update', Payload: '{"n":1}' }));
    expect(Payload?.transformToString()).toBe('{"n":2}');
    expect(await stack.invoke('update', { n: 2 })).toEqual({ n: 3 });
    expect(await (await fetch(stack.outputs.Url ?? '')).json()).toEqual({ n: 1 });
    await expect(stack.invoke('nobody', {})).rejects.toThrow(
      'function nobody: found none, expected a function of the template',
    );
  });

  it('rejects an invocation with the error of the function', async () => {
    const { stack } = await start({
      assemblyDir: assembly({
        update: 'export const handler = async () => { throw new RangeError("far"); }',
      }),
    });
    await expect(stack.invoke('update', {})).rejects.toThrow('function update: RangeError: far');
  });

  it('passes the variables of the template and the local endpoints to functions', async () => {
    const { stack } = await start({
      assemblyDir: assembly({ update: 'export const handler = async () => process.env' }),
    });
    expect(await stack.invoke('update', {})).toMatchObject({
      BUCKET: stack.outputs.BucketName,
      AWS_LAMBDA_FUNCTION_NAME: 'update',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
      ...stack.environment,
    });
    expect(stack.environment).toMatchObject({
      AWS_ENDPOINT_URL_SQS: stack.endpoints.sqs,
      AWS_ENDPOINT_URL_DYNAMODB: stack.endpoints.dynamodb,
      AWS_ENDPOINT_URL_S3: stack.endpoints.s3,
      AWS_ENDPOINT_URL_LAMBDA: stack.endpoints.lambda,
      AWS_REGION: 'us-east-1',
    });
  });

  it('starts functions cold after recycle', async () => {
    const { stack } = await start();
    await stack.invoke('update', {});
    await stack.invoke('update', {});
    expect(stack.coldStarts).toHaveLength(1);
    await stack.recycle();
    await stack.invoke('update', {});
    expect(stack.coldStarts).toHaveLength(2);
  });

  it('runs schedules according to its clock, with the event of EventBridge Scheduler', async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1));
    const { stack, lines } = await start({ clock });
    clock.advance(30 * 60_000);
    await stack.idle();
    const events = lines.map((line) => JSON.parse(line.replace('event ', '')));
    expect(events.map(({ time }) => time).sort()).toEqual(['2026-01-01T00:15:00Z', '2026-01-01T00:30:00Z']);
    expect(events[0]).toMatchObject({
      source: 'aws.scheduler',
      'detail-type': 'Scheduled Event',
      detail: '{}',
    });
  });

  it('runs no schedules with the option schedules: false', async () => {
    const clock = new ManualClock(0);
    const { stack, lines } = await start({ clock, schedules: false });
    clock.advance(5 * 3_600_000);
    await stack.idle();
    expect(lines).toEqual([]);
  });

  it('deletes expired items according to its clock', async () => {
    const { stack } = await start({ clock: new ManualClock(2_000_000_000_000) });
    const { dynamodb } = clientsOf(stack.endpoints);
    const item = { pk: { S: 'old' }, expiresAt: { N: '1999999999' } };
    await dynamodb.send(new PutItemCommand({ TableName: stack.outputs.TableName, Item: item }));
    expect(await stack.deleteExpiredItems()).toBe(1);
  });
});

describe('stopping a local stack', () => {
  it('waits for running invocations, and works twice', async () => {
    const { stack, lines } = await start({
      assemblyDir: assembly({
        update: `export const handler = async () => {
          console.log('begun'); await new Promise((resolve) => setTimeout(resolve, 100)); console.log('done'); }`,
      }),
    });
    await publish(stack, ['a1']);
    await expect.poll(() => lines).toEqual(['begun']);
    await Promise.all([stack.stop(), stack.stop()]);
    expect(lines).toEqual(['begun', 'done']);
    for (const endpoint of Object.values(stack.endpoints)) await expect(fetch(endpoint)).rejects.toThrow();
  });

  it('rejects a pending wait for idle', async () => {
    const { stack } = await start({
      assemblyDir: assembly({ update: 'export const handler = async () => { throw new Error("no"); }' }),
    });
    await publish(stack, ['a1']);
    const idle = expect(stack.idle()).rejects.toThrow(
      'local stack: found it stopped, expected it to become idle first',
    );
    await stack.stop();
    await idle;
  });
});

describe('a local stack with a data folder', () => {
  it('loses no messages, items or objects when its process is killed', async () => {
    const dataDir = temporaryFolder();
    const hanging = assembly({
      update: 'export const handler = () => { console.log("begun"); return new Promise(() => {}) }',
    });
    const child = spawn(process.execPath, [join(import.meta.dirname, 'stack-process.ts'), hanging, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const killed: Pick<LocalStack, 'outputs' | 'endpoints'> = JSON.parse(String((await lines.next()).value));
    const { s3, dynamodb } = clientsOf(killed.endpoints);
    const { BucketName: Bucket, TableName } = killed.outputs;
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'kept' }));
    await dynamodb.send(new PutItemCommand({ TableName, Item: { pk: { S: 'kept' } } }));
    await publish(killed, BODIES);
    expect((await lines.next()).value).toBe('begun');
    child.kill('SIGKILL');
    await once(child, 'exit');

    const { stack, bodies } = await start({ dataDir });
    await stack.idle();
    for (const group of ['a', 'b', 'c', 'd']) {
      const ofGroup = bodies().filter((body) => body.startsWith(group));
      expect(ofGroup).toEqual(BODIES.filter((body) => body.startsWith(group)));
    }
    const restarted = clientsOf(stack.endpoints);
    const object = await restarted.s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
    expect(await object.Body?.transformToString()).toBe('kept');
    const { Item } = await restarted.dynamodb.send(
      new GetItemCommand({ TableName, Key: { pk: { S: 'kept' } } }),
    );
    expect(Item).toEqual({ pk: { S: 'kept' } });
  });

  it('refuses a folder that another stack has locked', async () => {
    const dataDir = temporaryFolder();
    await start({ dataDir });
    await expect(start({ dataDir })).rejects.toThrow(InvalidConfigurationError);
  });
});

describe('a local stack that cannot start', () => {
  it('names the port in use, and leaves nothing running or locked', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const dataDir = temporaryFolder();
    await expect(start({ dataDir, ports: { lambda: port } })).rejects.toThrow(
      new InvalidConfigurationError(
        `port ${port} for lambda: found it in use by another program, expected a free port (0 selects one)`,
      ),
    );
    await start({ dataDir });
  });

  it.each([
    [
      { X: { Type: 'AWS::Kinesis::Stream' } },
      'X: found type AWS::Kinesis::Stream in Test, expected a resource that the local stack supports',
    ],
    [{ X: { Type: 'AWS::SQS::Queue', Condition: 'C' } }, 'X: found condition C in Test'],
    [
      { X: { Type: 'AWS::SQS::Queue', Properties: { Color: 1 } } },
      'X: found the unknown field "Color", expected only properties that the local stack supports',
    ],
    [{ X: functionResource('nothing') }, 'found no asset nothing.zip'],
    [
      { X: functionResource('update', { Layers: [] }) },
      'X: found the unknown field "Layers", expected only properties that the local stack supports',
    ],
    [
      { X: { ...RESOURCES.Url, Properties: { AuthType: 'NONE', TargetFunctionArn: 'arn:x' } } },
      'X: found "arn:x", expected a function of the template',
    ],
    [
      { X: { ...RESOURCES.Mapping, Properties: { EventSourceArn: 'arn:x', FunctionName: 'update' } } },
      'X: found "arn:x", expected a queue of the template',
    ],
  ])('names the unsupported resource: %j', async (resources, message) => {
    const assemblyDir = assembly({}, { ...RESOURCES, ...resources });
    await expect(start({ assemblyDir })).rejects.toThrow(InvalidConfigurationError);
    await expect(start({ assemblyDir })).rejects.toThrow(message);
  });
});
