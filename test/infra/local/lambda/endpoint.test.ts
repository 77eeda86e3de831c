import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AsyncEvents } from '../../../../infra/local/lambda/async-events.ts';
import { type LambdaEndpoint, startLambdaEndpoint } from '../../../../infra/local/lambda/endpoint.ts';
import type { LocalFunction } from '../../../../infra/local/lambda/function.ts';
import { LOCAL } from '../../../support/local-clients.ts';

const ARN = 'arn:aws:lambda:us-east-1:000000000000:function:echo';
const accepted: string[] = [];
let endpoint: LambdaEndpoint;
let client: LambdaClient;

beforeAll(async () => {
  const echo = {
    configuration: { arn: ARN },
    async invoke(payload: string) {
      const failed = payload.includes('fail');
      return {
        requestId: 'request-1',
        failed,
        payload: failed ? '{"errorType":"Error"}' : `{"got":${payload}}`,
      };
    },
  } as unknown as LocalFunction;
  const asyncEvents = {
    accept(_target: LocalFunction, payload: string) {
      accepted.push(payload);
      return 'request-2';
    },
  } as unknown as AsyncEvents;
  endpoint = await startLambdaEndpoint(
    { functions: new Map([['echo', echo]]), mappings: [] },
    asyncEvents,
    0,
  );
  client = new LambdaClient({
    endpoint: endpoint.endpoint,
    ...LOCAL,
    maxAttempts: 1,
  });
});

afterAll(async () => {
  client.destroy();
  await endpoint.close();
});

const invoke = (input: Partial<ConstructorParameters<typeof InvokeCommand>[0]>) =>
  client.send(new InvokeCommand({ FunctionName: 'echo', ...input }));

describe('the Lambda endpoint', () => {
  it.each(['echo', ARN, `${ARN}:$LATEST`, '000000000000:function:echo'])(
    'accepts %s as function name',
    async (FunctionName) => {
      const { Payload, StatusCode, ExecutedVersion, FunctionError } = await invoke({
        FunctionName,
        Payload: '[1]',
      });
      expect(Payload?.transformToString()).toBe('{"got":[1]}');
      expect({ StatusCode, ExecutedVersion, FunctionError }).toEqual({
        StatusCode: 200,
        ExecutedVersion: '$LATEST',
        FunctionError: undefined,
      });
    },
  );

  it('passes an empty object when there is no payload', async () => {
    expect((await invoke({})).Payload?.transformToString()).toBe('{"got":{}}');
  });

  it('reports a failed function with its error as payload', async () => {
    const { StatusCode, FunctionError, Payload } = await invoke({ Payload: '"fail"' });
    expect({ StatusCode, FunctionError }).toEqual({ StatusCode: 200, FunctionError: 'Unhandled' });
    expect(Payload?.transformToString()).toBe('{"errorType":"Error"}');
  });

  it('starts an asynchronous event without waiting for its result', async () => {
    expect((await invoke({ InvocationType: 'Event', Payload: '"later"' })).StatusCode).toBe(202);
    expect(accepted).toEqual(['"later"']);
  });

  it('runs nothing for a dry run', async () => {
    const { StatusCode, Payload } = await invoke({ InvocationType: 'DryRun', Payload: '1' });
    expect([StatusCode, Payload ?? 'nothing']).toEqual([204, 'nothing']);
  });

  it('refuses unknown functions, invalid JSON and more than 6 MiB with the error names of Lambda', async () => {
    await expect(invoke({ FunctionName: 'nobody' })).rejects.toThrow(
      expect.objectContaining({ name: 'ResourceNotFoundException', message: 'Function not found: nobody' }),
    );
    await expect(invoke({ Payload: '{' })).rejects.toThrow(
      expect.objectContaining({ name: 'InvalidRequestContentException' }),
    );
    await expect(invoke({ Payload: Buffer.from('"J\xe4n"', 'latin1') })).rejects.toThrow(
      expect.objectContaining({ name: 'InvalidRequestContentException' }),
    );
    await expect(invoke({ Payload: `"${'x'.repeat(6 * 1024 * 1024)}"` })).rejects.toThrow(
      expect.objectContaining({ name: 'RequestTooLargeException' }),
    );
  });

  it('refuses all operations except Invoke and names them', async () => {
    const response = await fetch(`${endpoint.endpoint}/2015-03-31/functions`);
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({
      message: 'GET /2015-03-31/functions: the local Lambda supports only Invoke and three reads',
    });
  });
});
