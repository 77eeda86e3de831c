import { randomUUID } from 'node:crypto';
import type { FunctionConfiguration } from './function-configuration.ts';
import { FunctionInstance } from './instance.ts';
import type { FunctionFailure, InvocationResult } from './protocol.ts';

/** The first start of an instance: how long the code took to load. */
export interface ColdStart {
  readonly functionName: string;
  readonly initMs: number;
}

/**
 * A function: as many instances as it has events to run at once, up to its concurrency, kept warm for the next
 * events. Beyond that, where Lambda would throttle, events wait for an instance in the order in which they came.
 */
export class LocalFunction {
  readonly configuration: FunctionConfiguration;
  readonly #recordLine: (line: string) => void;
  readonly #recordColdStart: (coldStart: ColdStart) => void;
  readonly #instances = new Set<FunctionInstance>();
  /** Those that run an event, by its request id. */
  readonly #busy = new Map<string, FunctionInstance>();
  /** Warm and free, the most recently used one last. */
  #idle: FunctionInstance[] = [];
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #generation = 0;
  #closed = false;

  constructor(
    configuration: FunctionConfiguration,
    recordLine: (line: string) => void,
    recordColdStart: (coldStart: ColdStart) => void,
  ) {
    this.configuration = configuration;
    this.#recordLine = recordLine;
    this.#recordColdStart = recordColdStart;
  }

  /** Whether an event runs or waits for an instance. */
  get busy(): boolean {
    return this.#running > 0;
  }

  /** Runs one event, given and answered as JSON text. Never rejects: errors of the function are in the result. */
  async invoke(payload: string, requestId: string = randomUUID()): Promise<InvocationResult> {
    if (this.#running >= this.configuration.concurrency) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await this.#run(payload, requestId);
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
      return this.#logged(await instance.invoke(payload, requestId));
    } finally {
      this.#busy.delete(requestId);
      if (instance.alive && generation === this.#generation && !this.#closed) this.#idle.push(instance);
      else await this.#end(instance);
    }
  }

  /** Lambda writes into the function's log what ended an invocation. */
  #logged(result: InvocationResult): InvocationResult {
    if (result.failed && !this.#closed) {
      const { requestId, payload } = result;
      this.#recordLine(JSON.stringify({ level: 'ERROR', requestId, message: JSON.parse(payload) }));
    }
    return result;
  }

  /** Request ids of the events that run now. */
  get running(): string[] {
    return [...this.#busy.keys()];
  }

  /**
   * Ends the instance that runs an event, in the middle of what it does, as the loss of its machine would.
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

  /** Ends warm instances, and those that are running once they have finished, as a new deployment does. */
  async recycle(): Promise<void> {
    this.#generation++;
    const idle = this.#idle;
    this.#idle = [];
    await Promise.all(idle.map((instance) => this.#end(instance)));
  }

  /** Ends all instances, in the middle of what they do, and takes no more events. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#idle = [];
    await Promise.all([...this.#instances].map((instance) => this.#end(instance)));
  }
}

function failed(requestId: string, failure: FunctionFailure): InvocationResult {
  return { requestId, failed: true, payload: JSON.stringify(failure) };
}
