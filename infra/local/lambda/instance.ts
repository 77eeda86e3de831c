import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FunctionConfiguration } from './function-configuration.ts';
import type { FromInstance, FunctionFailure, InvocationResult, ToInstance, WorkerData } from './protocol.ts';

/** Lambda allows ten seconds to load the code, or the function's timeout when that is longer. */
const INIT_LIMIT_MS = 10_000;

/**
 * One execution environment of a function: a worker thread with the function's environment and
 * memory limit. It runs one event at a time. After a timeout or the end of the thread, the instance
 * is no longer alive, and the owner must call `end`.
 */
export class FunctionInstance {
  readonly #configuration: FunctionConfiguration;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #settle: ((message: FromInstance) => void) | undefined;
  #alive = true;

  constructor(configuration: FunctionConfiguration, recordLine: (line: string) => void) {
    this.#configuration = configuration;
    const data: WorkerData = {
      ...locateHandler(configuration),
      functionName: configuration.name,
      functionArn: configuration.arn,
      memoryMb: configuration.memoryMb,
    };
    // In the compiled package, the worker is JavaScript too.
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: configuration.name,
      workerData: data,
      env: { ...configuration.environment },
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: configuration.memoryMb },
    });
    this.#worker.on('message', (message: FromInstance) => {
      if (message.type === 'line') recordLine(message.line);
      else this.#settle?.(message);
    });
    this.#worker.on('error', (error: unknown) => this.#fail(failureOfThread(error)));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#fail({ errorType: 'Runtime.ExitError', errorMessage: `Runtime exited with code ${code}` });
        resolve();
      });
    });
  }

  /** Whether the instance can run another event. */
  get alive(): boolean {
    return this.#alive;
  }

  /**
   * Waits until the handler is loaded.
   * @returns the error when loading failed, else undefined
   */
  async load(): Promise<FunctionFailure | undefined> {
    const limit = Math.max(INIT_LIMIT_MS, this.#configuration.timeoutSeconds * 1000);
    const message = await this.#answer(limit, 'Init');
    return message.type === 'error' ? message.error : undefined;
  }

  /** Runs one event. Event and answer are JSON text. Never rejects. */
  async invoke(payload: string, requestId: string): Promise<InvocationResult> {
    const limit = this.#configuration.timeoutSeconds * 1000;
    const answer = this.#answer(limit, `RequestId: ${requestId} Error: Task`);
    this.#worker.postMessage({ payload, requestId, limitMs: limit } satisfies ToInstance);
    const message = await answer;
    if (message.type === 'result') return { requestId, failed: false, payload: message.payload };
    const failure = message.type === 'error' ? message.error : undefined;
    return { requestId, failed: true, payload: JSON.stringify(failure) };
  }

  /** Terminates the thread immediately. */
  async end(): Promise<void> {
    this.#alive = false;
    await this.#worker.terminate();
    await this.#ended;
  }

  /** The next message except printed lines, or a timeout error after the limit. */
  async #answer(limitMs: number, what: string): Promise<FromInstance> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<FromInstance>((resolve) => {
        this.#settle = resolve;
        if (!this.#alive) {
          this.#fail({ errorType: 'Runtime.ExitError', errorMessage: 'Runtime exited' });
          return;
        }
        timer = setTimeout(() => {
          const errorMessage = `${what} timed out after ${(limitMs / 1000).toFixed(2)} seconds`;
          this.#fail({ errorType: 'Sandbox.Timedout', errorMessage });
        }, limitMs);
      });
    } finally {
      clearTimeout(timer);
      this.#settle = undefined;
    }
  }

  #fail(error: FunctionFailure): void {
    this.#alive = false;
    this.#settle?.({ type: 'error', error });
  }
}

/** `Handler` is `<path of the module without extension>.<export>`. */
function locateHandler({
  handler,
  codeFolder,
}: FunctionConfiguration): Pick<WorkerData, 'modulePath' | 'exportName'> {
  const dot = handler.lastIndexOf('.');
  const base = join(codeFolder, handler.slice(0, dot));
  const extension = ['.mjs', '.js', '.cjs'].find((candidate) => existsSync(base + candidate)) ?? '.js';
  return { modulePath: base + extension, exportName: handler.slice(dot + 1) };
}

function failureOfThread(error: unknown): FunctionFailure {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return { errorType: 'Runtime.OutOfMemory', errorMessage: 'Runtime exited: out of memory' };
  }
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { errorType: name, errorMessage: message, trace: stack?.split('\n') ?? [] };
}
