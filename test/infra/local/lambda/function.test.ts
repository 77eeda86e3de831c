import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ColdStart, LocalFunction } from '../../../../infra/local/lambda/function.ts';
import type { FunctionConfiguration } from '../../../../infra/local/lambda/function-configuration.ts';
import { temporaryFolder } from '../../../support/assembly-fixture.ts';

function functionOf(source: string, overrides: Partial<FunctionConfiguration> = {}) {
  const codeFolder = temporaryFolder();
  mkdirSync(codeFolder, { recursive: true });
  writeFileSync(join(codeFolder, 'index.mjs'), source);
  const lines: string[] = [];
  const coldStarts: ColdStart[] = [];
  const configuration: FunctionConfiguration = {
    name: 'probe',
    arn: 'arn:aws:lambda:us-east-1:000000000000:function:probe',
    codeFolder,
    handler: 'index.handler',
    environment: { GREETING: 'hello' },
    memoryMb: 128,
    timeoutSeconds: 5,
    concurrency: 2,
    ...overrides,
  };
  const target = new LocalFunction(
    configuration,
    (line) => lines.push(line),
    (coldStart) => coldStarts.push(coldStart),
  );
  onTestFinished(() => target.close());
  const invoke = async (event: unknown = {}) => {
    const { failed, payload } = await target.invoke(JSON.stringify(event), 'request-1');
    return { failed, value: JSON.parse(payload) };
  };
  return { target, invoke, lines, coldStarts };
}

describe('a function', () => {
  it('receives its event and its own environment, without the environment of this process', async () => {
    process.env.ATTUNE_TEST_LEAK = 'leaked';
    onTestFinished(() => {
      delete process.env.ATTUNE_TEST_LEAK;
    });
    const { invoke } = functionOf(
      'export const handler = async (event) => ({ event, greeting: process.env.GREETING, leak: process.env.ATTUNE_TEST_LEAK })',
    );
    expect(await invoke({ a: 1 })).toEqual({ failed: false, value: { event: { a: 1 }, greeting: 'hello' } });
  });

  it('receives a context with the remaining time until its timeout', async () => {
    const { invoke } = functionOf(`export const handler = async (event, context) => ({
      ...context, first: context.getRemainingTimeInMillis(),
      later: await new Promise((resolve) => setTimeout(() => resolve(context.getRemainingTimeInMillis()), 20)) })`);
    const { value } = await invoke();
    expect(value).toMatchObject({
      functionName: 'probe',
      functionVersion: '$LATEST',
      awsRequestId: 'request-1',
      invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:probe',
      memoryLimitInMB: '128',
    });
    expect(Number.isInteger(value.first)).toBe(true);
    expect(value.first).toBeLessThanOrEqual(5000);
    expect(value.first).toBeGreaterThan(4000);
    expect(value.first - value.later).toBeGreaterThanOrEqual(19);
  });

  it('fails an answer that is longer than Lambda delivers, by one byte of UTF-8', async () => {
    // With its two quotes.
    const longest = 6_291_556 - 2;
    const { invoke } = functionOf("export const handler = async ({ n }) => 'é' + 'x'.repeat(n - 2)");
    expect((await invoke({ n: longest })).failed).toBe(false);
    expect(await invoke({ n: longest + 1 })).toEqual({
      failed: true,
      value: {
        errorType: 'Function.ResponseSizeTooLarge',
        errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
      },
    });
  });

  it('answers null when it returns nothing', async () => {
    expect(await functionOf('export const handler = async () => {}').invoke()).toEqual({
      failed: false,
      value: null,
    });
  });

  it('reports a thrown error and keeps its instance for the next event', async () => {
    const { invoke, lines, coldStarts } = functionOf(
      'export const handler = async ({ bad }) => { if (bad) throw new RangeError("too far"); return "fine"; }',
    );
    const { failed, value } = await invoke({ bad: true });
    expect(failed).toBe(true);
    expect(value).toMatchObject({ errorType: 'RangeError', errorMessage: 'too far' });
    expect(value.trace[0]).toBe('RangeError: too far');
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { level: 'ERROR', requestId: 'request-1', message: value },
    ]);
    expect(await invoke()).toEqual({ failed: false, value: 'fine' });
    expect(coldStarts).toHaveLength(1);
  });

  it('ends at its timeout and starts a new instance for the next event', async () => {
    const { invoke, coldStarts } = functionOf(
      'export const handler = async ({ hang }) => { while (hang); return "fine"; }',
      { timeoutSeconds: 0.2 },
    );
    expect(await invoke({ hang: true })).toEqual({
      failed: true,
      value: {
        errorType: 'Sandbox.Timedout',
        errorMessage: 'RequestId: request-1 Error: Task timed out after 0.20 seconds',
      },
    });
    expect(await invoke()).toEqual({ failed: false, value: 'fine' });
    expect(coldStarts).toHaveLength(2);
  });

  it('fails when its code exits the process, and starts a new instance for the next event', async () => {
    const { invoke } = functionOf(
      'export const handler = async ({ exit }) => { if (exit) process.exit(3); return 1; }',
    );
    expect(await invoke({ exit: true })).toEqual({
      failed: true,
      value: { errorType: 'Runtime.ExitError', errorMessage: 'Runtime exited with code 3' },
    });
    expect(await invoke()).toEqual({ failed: false, value: 1 });
  });

  it('fails with an error that its code throws outside of the handler', async () => {
    const { invoke } = functionOf(
      'export const handler = () => new Promise(() => setTimeout(() => { throw new TypeError("loose"); }, 1))',
    );
    expect((await invoke()).value).toMatchObject({ errorType: 'TypeError', errorMessage: 'loose' });
  });

  it('fails when its code uses more memory than the limit', async () => {
    const { invoke } = functionOf(
      'export const handler = async () => { const all = []; while (true) all.push(new Array(1e5).fill({})); }',
      { memoryMb: 32, timeoutSeconds: 20 },
    );
    expect((await invoke()).value).toMatchObject({ errorType: 'Runtime.OutOfMemory' });
  });

  it.each([
    ['throw new Error("broken module")', 'Error', 'broken module'],
    ['export const other = 1', 'TypeError', 'exports no function handler'],
    ['export const handler = (', 'SyntaxError', 'Unexpected end of input'],
  ])('fails with the reason when its code does not load: %s', async (source, errorType, message) => {
    const { failed, value } = await functionOf(source).invoke();
    expect(failed).toBe(true);
    expect(value.errorType).toBe(errorType);
    expect(value.errorMessage).toContain(message);
  });

  it('records all lines of console, stdout and stderr before its answer', async () => {
    const { invoke, lines } = functionOf(`
      console.log('loading');
      export const handler = async () => {
        console.log('one\\ntwo'); process.stdout.write('thr'); process.stdout.write('ee\\n'); console.error('four');
      }`);
    await invoke();
    expect(lines).toEqual(['loading', 'one', 'two', 'three', 'four']);
  });

  it('applies source maps when NODE_OPTIONS enables them', async () => {
    const map = Buffer.from(
      JSON.stringify({
        version: 3,
        sources: ['original.ts'],
        names: [],
        mappings: 'AAAA',
        file: 'index.mjs',
      }),
    ).toString('base64');
    const { invoke } = functionOf(
      `export const handler = async () => { throw new Error('mapped'); }\n//# sourceMappingURL=data:application/json;base64,${map}`,
      { environment: { NODE_OPTIONS: '--enable-source-maps' } },
    );
    expect((await invoke()).value.trace.join('\n')).toContain('original.ts:1');
  });
});

describe('the instances of a function', () => {
  const counting = `let calls = 0;
    export const handler = async ({ ms = 0 }) => {
      await new Promise((resolve) => setTimeout(resolve, ms)); return ++calls; }`;

  it('stay warm for the next event', async () => {
    const { invoke, coldStarts } = functionOf(counting);
    expect((await invoke()).value).toBe(1);
    expect((await invoke()).value).toBe(2);
    expect(coldStarts).toEqual([{ functionName: 'probe', initMs: expect.any(Number) }]);
  });

  it('run one concurrent event each, up to the concurrency limit, while further events wait', async () => {
    const { invoke, coldStarts, target } = functionOf(counting, { concurrency: 2 });
    const first = invoke({ ms: 1 });
    const late = first.then(() => invoke({ ms: 1 }));
    const answers = Promise.all([first, late, ...[1, 2, 3].map(() => invoke({ ms: 20 }))]);
    expect(target.busy).toBe(true);
    const values = (await answers).map(({ value }) => value);
    expect(values.reduce((total, value) => total + value, 0)).toBeGreaterThanOrEqual(9);
    expect(coldStarts).toHaveLength(2);
    expect(target.busy).toBe(false);
  });

  it('are new after recycle, which lets running events finish', async () => {
    const { invoke, target, coldStarts } = functionOf(counting);
    await invoke();
    const running = invoke({ ms: 100 });
    await delay(20);
    await target.recycle();
    expect((await running).value).toBe(2);
    expect((await invoke()).value).toBe(1);
    expect(coldStarts).toHaveLength(2);
  });

  it('end immediately when the function is closed', async () => {
    const { invoke, target } = functionOf(counting);
    const running = invoke({ ms: 60_000 });
    await delay(50);
    await target.close();
    expect((await running).failed).toBe(true);
    expect(await invoke()).toMatchObject({ failed: true, value: { errorType: 'Stopped' } });
  });
});
