import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { LocalFunction } from '../../../../infra/local/lambda/function.ts';
import { traceIdOf } from '../../../../infra/local/lambda/trace-id.ts';
import { temporaryFolder } from '../../../support/assembly-fixture.ts';
import { requestIdOf } from '../../../support/request-id.ts';

const REQUEST = '0b5a1c7e-1f2d-4e3c-8b9a-001122334455';

it('a function has a trace id that contains its request id', async () => {
  const target = functionOf('export const handler = async () => process.env._X_AMZN_TRACE_ID');
  const { payload } = await target.invoke('{}', REQUEST);
  expect(JSON.parse(payload)).toMatch(/^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$/);
  expect(requestIdOf(JSON.parse(payload))).toBe(REQUEST);
});

it('a trace id from elsewhere has no request id', () => {
  expect(requestIdOf(traceIdOf(REQUEST))).toBe(REQUEST);
  expect(requestIdOf('Self=1-67891234-12456789abcdef012345678')).toBeUndefined();
});

it('killing an invocation fails it, and the next event gets a new instance', async () => {
  const target = functionOf(
    'let n = 0; export const handler = async ({ wait }) => { n++; if (wait) await new Promise((done) => setTimeout(done, 60_000)); return n; }',
  );
  await target.invoke('{}');
  const running = target.invoke('{"wait": true}', REQUEST);
  while (target.running.length === 0) await delay(1);
  expect(target.running).toEqual([REQUEST]);
  expect(target.kill(REQUEST)).toBe(true);
  expect(await running).toMatchObject({
    failed: true,
    payload: expect.stringContaining('Runtime.ExitError'),
  });
  expect(target.kill(REQUEST)).toBe(false);
  expect(await target.invoke('{}')).toMatchObject({ failed: false, payload: '1' });
});

function functionOf(source: string): LocalFunction {
  const codeFolder = temporaryFolder();
  mkdirSync(codeFolder, { recursive: true });
  writeFileSync(join(codeFolder, 'index.mjs'), source);
  const target = new LocalFunction(
    {
      name: 'probe',
      arn: 'arn:aws:lambda:us-east-1:000000000000:function:probe',
      codeFolder,
      handler: 'index.handler',
      environment: {},
      memoryMb: 128,
      timeoutSeconds: 60,
      concurrency: 2,
    },
    () => {},
    () => {},
  );
  onTestFinished(() => target.close());
  return target;
}
