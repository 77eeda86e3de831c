import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { NotFoundError, UnavailableError } from '../../shared/errors.ts';
import { readAssembly } from './assembly.ts';
import { type Clock, systemClock } from './clock.ts';
import { takeDataFolder } from './data-folder.ts';
import { startDynamoDb } from './dynamodb.ts';
import { clientEnvironment, type Endpoints } from './environment.ts';
import { AsyncEvents } from './lambda/async-events.ts';
import { startLambdaEndpoint } from './lambda/endpoint.ts';
import type { ColdStart, LocalFunction } from './lambda/function.ts';
import type { FunctionFailure } from './lambda/protocol.ts';
import { Metrics } from './metrics.ts';
import { provision } from './provision/provision.ts';
import type { Services } from './provision/resource.ts';
import { startS3 } from './s3/server.ts';
import { startSqs } from './sqs.ts';

export interface LocalStackOptions {
  /** What `cdk synth` wrote, usually `cdk.out`. */
  readonly assemblyDir: string;
  /** Folder in which everything survives a restart, and a kill; everything is in memory without it. */
  readonly dataDir?: string;
  /** Ports on 127.0.0.1; default 0, which chooses free ones. */
  readonly ports?: Partial<Record<keyof Endpoints, number>>;
  /** Takes every line that a function prints, and by the name of `STACK_LOG` what the stack itself failed at. */
  readonly recordLogs?: (functionName: string, line: string) => void;
  /** Events that one function runs at the same time; default: the number of processors, but at least 2. */
  readonly concurrency?: number;
  /** Whether schedules run; default true. Functions can be invoked at any rate. */
  readonly schedules?: boolean;
  /** Where the functions find the services instead of the services' own endpoints, such as a proxy before each. */
  readonly functionEndpoints?: (endpoints: Endpoints) => Promise<Endpoints>;
  /** Default: the system's clock. Goes for schedules, asynchronous retries and the expiry of objects. */
  readonly clock?: Clock;
}

/** The name by which the stack logs its own failures: JSON with `level` ERROR and `message`. */
export const STACK_LOG = 'local-stack';

/** How long `stop` waits for running invocations. */
const GRACE_MS = 10_000;
const IDLE_CHECK_MS = 5;

/** The stack of a synthesized template on one machine: real SDK clients, local endpoints, the bundled functions. */
export class LocalStack {
  /** Outputs of the template. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly endpoints: Endpoints;
  /** Environment variables that point an AWS SDK or the AWS CLI here. */
  readonly environment: Readonly<Record<string, string>>;
  readonly metrics: Metrics;
  /** Every start of a function instance so far. */
  readonly coldStarts: readonly ColdStart[];
  readonly #services: Services;
  readonly #close: () => Promise<void>;
  #stopped: Promise<void> | undefined;

  private constructor(
    services: Services,
    outputs: Readonly<Record<string, string>>,
    endpoints: Endpoints,
    metrics: Metrics,
    coldStarts: readonly ColdStart[],
    close: () => Promise<void>,
  ) {
    this.#services = services;
    this.#close = close;
    this.outputs = outputs;
    this.endpoints = endpoints;
    this.environment = clientEnvironment(endpoints);
    this.metrics = metrics;
    this.coldStarts = coldStarts;
  }

  /**
   * Starts the services, creates what the template describes, and begins to poll queues and to run schedules.
   * @throws InvalidConfigurationError when a port or the data folder cannot be used, or the template has something
   *   that the local stack does not know; nothing is left running then
   */
  static async start(options: LocalStackOptions): Promise<LocalStack> {
    const closers: (() => unknown)[] = [];
    const close = async () => {
      for (const closer of closers.splice(0).reverse()) await closer();
    };
    try {
      return await LocalStack.#start(options, closers, close);
    } catch (error) {
      await close();
      throw error;
    }
  }

  static async #start(
    options: LocalStackOptions,
    closers: (() => unknown)[],
    close: () => Promise<void>,
  ): Promise<LocalStack> {
    const { dataDir, ports = {}, clock = systemClock } = options;
    const assembly = await readAssembly(options.assemblyDir);
    const folder = dataDir === undefined ? undefined : takeDataFolder(dataDir);
    closers.push(() => folder?.release());
    const at = (service: keyof Endpoints) => ({
      port: ports[service] ?? 0,
      ...(folder === undefined ? {} : { dataDir: folder.of(service) }),
    });
    const sqs = await startSqs(at('sqs'));
    closers.push(() => sqs.close());
    const dynamodb = await startDynamoDb(at('dynamodb'));
    closers.push(() => dynamodb.close());
    const s3 = await startS3({ ...at('s3'), now: clock.now });
    closers.push(() => s3.close());
    const functions = new Map<string, LocalFunction>();
    const asyncEvents = new AsyncEvents(clock);
    closers.push(() => Promise.all([...functions.values()].map((target) => target.close())));
    const lambda = await startLambdaEndpoint(functions, asyncEvents, ports.lambda ?? 0);
    closers.push(() => lambda.close());

    const endpoints = {
      sqs: sqs.endpoint,
      dynamodb: dynamodb.endpoint,
      s3: s3.endpoint,
      lambda: lambda.endpoint,
    };
    const metrics = new Metrics();
    const coldStarts: ColdStart[] = [];
    const services: Services = {
      assembly,
      clock,
      sqs,
      dynamodb,
      s3,
      environment: clientEnvironment((await options.functionEndpoints?.(endpoints)) ?? endpoints),
      concurrency: options.concurrency ?? Math.max(2, availableParallelism()),
      recordLine: (name, line) => {
        metrics.record(line);
        options.recordLogs?.(name, line);
      },
      reportFault: (error) => {
        const message = error instanceof Error ? error.message : String(error);
        options.recordLogs?.(STACK_LOG, JSON.stringify({ level: 'ERROR', message }));
      },
      recordColdStart: (coldStart) => coldStarts.push(coldStart),
      asyncEvents,
      functions,
      functionUrls: [],
      eventSources: [],
      schedules: [],
    };
    closers.push(() => Promise.all(services.functionUrls.map((url) => url.close())));
    const outputs = await provision(services);
    for (const source of services.eventSources) source.start();
    if (options.schedules ?? true) for (const schedule of services.schedules) schedule.start();
    return new LocalStack(services, outputs, endpoints, metrics, coldStarts, close);
  }

  /**
   * Invokes a function and waits for its answer.
   * @param payload anything that JSON can carry
   * @throws NotFoundError when the template has no such function
   * @throws UnavailableError when the function failed, with its error type and message
   */
  async invoke(functionName: string, payload: unknown): Promise<unknown> {
    const target = this.#services.functions.get(functionName);
    if (target === undefined) throw new NotFoundError(`function ${functionName}: found none of this name`);
    const result = await target.invoke(JSON.stringify(payload) ?? 'null');
    if (!result.failed) return JSON.parse(result.payload) as unknown;
    const { errorType, errorMessage } = JSON.parse(result.payload) as FunctionFailure;
    throw new UnavailableError(`function ${functionName}: ${errorType}: ${errorMessage}`);
  }

  /** Request ids of all invocations that run now. */
  get running(): string[] {
    return [...this.#services.functions.values()].flatMap((target) => target.running);
  }

  /**
   * Ends the function instance that runs an invocation, in the middle of what it does, as the loss of its machine would.
   * @returns whether it was running
   */
  kill(requestId: string): boolean {
    return [...this.#services.functions.values()].some((target) => target.kill(requestId));
  }

  /** Ends all warm function instances, as a new deployment does: the next invocation of each starts cold. */
  async recycle(): Promise<void> {
    await Promise.all([...this.#services.functions.values()].map((target) => target.recycle()));
  }

  /**
   * Resolves when no message is visible, delayed or in flight in any queue that a function reads, no invocation is
   * running, and no asynchronous event waits for another attempt. A message that failed is in flight until its
   * visibility timeout ends.
   *
   * @throws UnavailableError when the stack is stopped before that
   */
  async idle(): Promise<void> {
    while (!this.isIdle) {
      if (this.#stopped !== undefined)
        throw new UnavailableError('the local stack was stopped before it was idle');
      await delay(IDLE_CHECK_MS);
    }
  }

  /** What {@link idle} waits for. Queues and invocations are all in this process, so this is a look at one moment. */
  get isIdle(): boolean {
    const { functions, asyncEvents } = this.#services;
    return (
      this.unfinishedMessages === 0 &&
      [...functions.values()].every((target) => !target.busy) &&
      !asyncEvents.busy
    );
  }

  /** Messages that are visible, delayed or in flight in the queues that a function reads. */
  get unfinishedMessages(): number {
    return this.#services.eventSources.reduce((sum, source) => sum + source.unfinished, 0);
  }

  /**
   * Deletes the items of tables that have expired, which otherwise happens once a minute.
   * @returns how many it deleted
   */
  deleteExpiredItems(): Promise<number> {
    return this.#services.dynamodb.deleteExpired(this.#services.clock.now());
  }

  /**
   * Ends everything: receives no more messages, waits up to ten seconds for what is running, and closes. With a
   * data folder, unfinished messages are delivered again at the next start. May be called more than once.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { schedules, eventSources, functions, asyncEvents } = this.#services;
    for (const schedule of schedules) schedule.stop();
    asyncEvents.close();
    const sourcesStopped = Promise.all(eventSources.map((source) => source.stop()));
    const deadline = performance.now() + GRACE_MS;
    while ([...functions.values()].some((target) => target.busy) && performance.now() < deadline) {
      await delay(IDLE_CHECK_MS);
    }
    await Promise.all([...functions.values()].map((target) => target.close()));
    await sourcesStopped;
    await this.#close();
  }
}
