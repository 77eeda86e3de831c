/** The worker thread of a function instance: loads the handler, then runs one event at a time. */
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { FromInstance, ToInstance, WorkerData } from './protocol.ts';
import { traceIdOf } from './trace-id.ts';

type Handler = (event: unknown, context: object) => unknown;

const port = parentPort;
if (port === null) throw new Error('worker.ts: found no parent thread, expected to run as a worker thread');
const { modulePath, exportName, functionName, functionArn, memoryMb } = workerData as WorkerData;
const send = (message: FromInstance) => port.postMessage(message);

// Lines use the same channel as results, so that all lines of an invocation arrive before its
// result.
const unfinished = { stdout: '', stderr: '' };
for (const stream of ['stdout', 'stderr'] as const) {
  process[stream].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    const text = unfinished[stream] + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
    const lines = text.split('\n');
    unfinished[stream] = lines.pop() ?? '';
    for (const line of lines) send({ type: 'line', line });
    const done = rest.at(-1);
    if (typeof done === 'function') queueMicrotask(() => done());
    return true;
  };
}

function failureOf(error: unknown): FromInstance & { type: 'error' } {
  const known = error instanceof Error ? error : undefined;
  return {
    type: 'error',
    error: {
      errorType: known?.name ?? 'Error',
      errorMessage: known?.message ?? String(error),
      trace: known?.stack?.split('\n') ?? [],
    },
  };
}

async function loadHandler(): Promise<Handler> {
  const module: Record<string, unknown> = await import(pathToFileURL(modulePath).href);
  const handler = module[exportName];
  if (typeof handler !== 'function') throw new TypeError(`${modulePath} exports no function ${exportName}`);
  return handler as Handler;
}

async function run(handler: Handler, { payload, requestId, limitMs }: ToInstance): Promise<void> {
  // A monotonic clock, because a handler under test may replace the wall clock.
  const deadline = performance.now() + limitMs;
  process.env._X_AMZN_TRACE_ID = traceIdOf(requestId);
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: functionArn,
    memoryLimitInMB: String(memoryMb),
    awsRequestId: requestId,
    logGroupName: `/aws/lambda/${functionName}`,
    logStreamName: 'local',
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(deadline - performance.now())),
  };
  try {
    const result = await handler(JSON.parse(payload), context);
    send({ type: 'result', payload: JSON.stringify(result) ?? 'null' });
  } catch (error) {
    send(failureOf(error));
  }
}

try {
  const handler = await loadHandler();
  port.on('message', (invocation: ToInstance) => void run(handler, invocation));
  send({ type: 'ready' });
} catch (error) {
  send(failureOf(error));
}
