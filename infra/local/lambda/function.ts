import { randomUUID } from 'node:crypto';
import type { FunctionConfiguration } from './function-configuration.ts';
import { FunctionInstance } from './instance.ts';
import type { FunctionFailure, InvocationResult } from './protocol.ts';

/** The start of a new instance, with the time to load the code. */
export interface ColdStart {
  readonly functionName: string;
  readonly initMs: number;
}

/** One finished invocation, as Lambda's own metrics count it. */
export interface Invocation {
  readonly functionName: string;
  readonly durationMs: number;
  readonly failed: boolean;
  /** Whether it waited because all instances were busy; Lambda would have throttled it. */
  readonly waited: boolean;
}

/**
 * A function that runs each concurrent event on its own instance and keeps instances warm. When all
 * instances that its concurrency allows are busy, further events wait in order of arrival; Lambda
 * would throttle them.
 */
export class LocalFunction {
  readonly configuration: FunctionConfiguration;
  readonly #recordLine: (line: string) => void;
  readonly #recordColdStart: (coldStart: ColdStart) => void;
  readonly #recordInvocation: (invocation: Invocation) => void;
  readonly #instances = new Set<FunctionInstance>();
  /** Instances that run an event, by request id. */
  readonly #busy = new Map<string, FunctionInstance>();
  /** Warm instances, the most recently used one last. */
  #idle: FunctionInstance[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #generation = 0;
  #closed = false;

  constructor(
    configuration: FunctionConfiguration,
    recordLine: (line: string) => void,
    recordColdStart: (coldStart: ColdStart) => void,
    recordInvocation: (invocation: Invocation) => void = () => {},
  ) {
    this.configuration = configuration;
    this.#recordLine = recordLine;
    this.#recordColdStart = recordColdStart;
    this.#recordInvocation = recordInvocation;
  }

  /** Whether an event is running or waits for an instance. */
  get busy(): boolean {
    return this.#running > 0;
  }

  /**
   * Runs one event. Event and answer are JSON text. Never rejects: the result contains errors of
   * the function.
   */
  async invoke(payload: string, requestId: string = randomUUID()): Promise<InvocationResult> {
    const waited = this.#running >= this.configuration.concurrency;
    if (waited) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    const startedAt = performance.now();
    try {
      const result = await this.#run(payload, requestId);
      const durationMs = performance.now() - startedAt;
      this.#recordInvocation({
        functionName: this.configuration.name,
        durationMs,
        failed: result.failed,
        waited,
      });
      return result;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #run(payload: string, requestId: string): Promise<InvocationResult> {
    if (this.#closed)
      return failed(requestId, { errorType: 'Stopped', errorMessage: 'the stack is stopping' });
    const generation = this.#generation;
    const instance = this.#takeWarm() ?? (await this.#start());
    if (!(instance instanceof FunctionInstance)) return this.#logged(failed(requestId, instance));
    this.#busy.set(requestId, instance);
    try {
      return this.#logged(withinLimit(await instance.invoke(payload, requestId)));
    } finally {
      this.#busy.delete(requestId);
      if (instance.alive && generation === this.#generation && !this.#closed) this.#idle.push(instance);
      else await this.#end(instance);
    }
  }

  /** Writes the error of a failed invocation to the function's log, as Lambda does. */
  #logged(result: InvocationResult): InvocationResult {
    if (result.failed && !this.#closed) {
      const { requestId, payload } = result;
      this.#recordLine(JSON.stringify({ level: 'ERROR', requestId, message: JSON.parse(payload) }));
    }
    return result;
  }

  /** Request ids of the running events. */
  get running(): string[] {
    return [...this.#busy.keys()];
  }

  /**
   * Kills the instance that runs an event, as the loss of its machine would.
   * @returns whether the event was running
   */
  kill(requestId: string): boolean {
    const instance = this.#busy.get(requestId);
    if (instance !== undefined) void instance.end();
    return instance !== undefined;
  }

  #takeWarm(): FunctionInstance | undefined {
    while (true) {
      const instance = this.#idle.pop();
      if (instance === undefined || instance.alive) return instance;
      void this.#end(instance);
    }
  }

  async #start(): Promise<FunctionInstance | FunctionFailure> {
    const startedAt = performance.now();
    const instance = new FunctionInstance(this.configuration, this.#recordLine);
    this.#instances.add(instance);
    const failure = await instance.load();
    if (failure !== undefined) {
      await this.#end(instance);
      return failure;
    }
    this.#recordColdStart({ functionName: this.configuration.name, initMs: performance.now() - startedAt });
    return instance;
  }

  async #end(instance: FunctionInstance): Promise<void> {
    await instance.end();
    this.#instances.delete(instance);
  }

  /** Ends warm instances now and busy instances after their event, as a new deployment does. */
  async recycle(): Promise<void> {
    this.#generation++;
    const idle = this.#idle;
    this.#idle = [];
    await Promise.all(idle.map((instance) => this.#end(instance)));
  }

  /** Kills all instances. Later events fail. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#idle = [];
    await Promise.all([...this.#instances].map((instance) => this.#end(instance)));
  }
}

/** Longest answer of a function that Lambda delivers, in bytes. */
const ANSWER_LIMIT_BYTES = 6_291_556;

/** A longer answer is an error of the function, as in Lambda. */
function withinLimit(result: InvocationResult): InvocationResult {
  if (result.failed || Buffer.byteLength(result.payload) <= ANSWER_LIMIT_BYTES) return result;
  return failed(result.requestId, {
    errorType: 'Function.ResponseSizeTooLarge',
    errorMessage: `Response payload size exceeded maximum allowed payload size (${ANSWER_LIMIT_BYTES} bytes).`,
  });
}

function failed(requestId: string, failure: FunctionFailure): InvocationResult {
  return { requestId, failed: true, payload: JSON.stringify(failure) };
}
