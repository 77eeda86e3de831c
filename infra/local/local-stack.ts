import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { NotFoundError, UnavailableError } from '../../shared/errors.ts';
import { readAssembly } from './assembly.ts';
import { type Clock, systemClock } from './clock.ts';
import { lockDataFolder } from './data-folder.ts';
import { startDynamoDb } from './dynamodb.ts';
import { clientEnvironment, type Endpoints } from './environment.ts';
import { Permissions } from './iam/permissions.ts';
import type { ApiCall } from './iam/policy.ts';
import { AsyncEvents } from './lambda/async-events.ts';
import { startLambdaEndpoint } from './lambda/endpoint.ts';
import type { ColdStart, Invocation, LocalFunction } from './lambda/function.ts';
import type { FunctionFailure } from './lambda/protocol.ts';
import type { EventSourceMapping } from './lambda/reads.ts';
import { Metrics } from './metrics.ts';
import { provision } from './provision/provision.ts';
import type { Services } from './provision/resource.ts';
import { startS3 } from './s3/server.ts';
import { startSqs } from './sqs.ts';

export interface LocalStackOptions {
  /** Output folder of `cdk synth`, usually `cdk.out`. */
  readonly assemblyDir: string;
  /** Folder for all data, which survives a restart and a kill. Default: in memory. */
  readonly dataDir?: string;
  /** Ports on 127.0.0.1; default 0, which selects a free port. */
  readonly ports?: Partial<Record<keyof Endpoints, number>>;
  /**
   * Receives every line that a function prints and, under the name `STACK_LOG`, faults of the stack
   * itself.
   */
  readonly recordLogs?: (functionName: string, line: string) => void;
  /**
   * Maximum number of concurrent events per function; default: the number of processors, at least
   * 2.
   */
  readonly concurrency?: number;
  /** Whether schedules run; default true. `invoke` works in both cases. */
  readonly schedules?: boolean;
  /** Replaces the endpoints that the functions use, for example with a proxy for each service. */
  readonly functionEndpoints?: (endpoints: Endpoints) => Promise<Endpoints>;
  /** Receives every call of a role of the template, or of a user that `permissions.permit` made. */
  readonly recordCall?: (call: ApiCall) => void;
  /** Receives every finished invocation of a function, as Lambda's own metrics count it. */
  readonly recordInvocation?: (invocation: Invocation) => void;
  /**
   * The clock of schedules, asynchronous retries and the expiry of objects. Default: the system
   * clock.
   */
  readonly clock?: Clock;
}

/**
 * The function name in the log for faults of the stack itself: JSON with `level` ERROR and
 * `message`.
 */
export const STACK_LOG = 'local-stack';

/** Maximum time that `stop` waits for running invocations. */
const GRACE_MS = 10_000;
const IDLE_CHECK_MS = 5;

/** Stops one part of the stack. Parts stop in reverse order of their start. */
type Closer = () => unknown;

/**
 * Runs a synthesized template on one machine: the bundled functions with real SDK clients and local
 * services.
 */
export class LocalStack {
  /** The outputs of the template. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly endpoints: Endpoints;
  /** Environment variables that direct an AWS SDK or the AWS CLI to this stack. */
  readonly environment: Readonly<Record<string, string>>;
  readonly metrics: Metrics;
  /** The policies of the template; `permit` adds users of the account. */
  readonly permissions: Permissions;
  /** All starts of function instances so far. */
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
    this.permissions = services.permissions;
    this.coldStarts = coldStarts;
  }

  /**
   * Starts the services, creates the resources of the template, and starts event sources and
   * schedules.
   * @throws InvalidConfigurationError when a port or the data folder is not usable, or when the
   *   local stack does not support a part of the template. Nothing keeps running then.
   */
  static async start(options: LocalStackOptions): Promise<LocalStack> {
    const closers: Closer[] = [];
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
    closers: Closer[],
    close: () => Promise<void>,
  ): Promise<LocalStack> {
    const { ports = {}, clock = systemClock } = options;
    const assembly = await readAssembly(options.assemblyDir);
    const metrics = new Metrics();
    const recorders = logRecorders(options, metrics);
    const permissions = new Permissions({
      onCall: options.recordCall,
      onDenied: ({ name, message }) => recorders.reportFault(new Error(`${name}: ${message}`)),
    });
    const stores = await startStores(options, permissions, closers);
    const functions = new Map<string, LocalFunction>();
    const mappings: EventSourceMapping[] = [];
    const asyncEvents = new AsyncEvents(clock);
    closers.push(() => Promise.all([...functions.values()].map((target) => target.close())));
    const lambda = await startLambdaEndpoint(
      { functions, mappings },
      asyncEvents,
      ports.lambda ?? 0,
      permissions.authorize,
    );
    closers.push(() => lambda.close());

    const endpoints = {
      sqs: stores.sqs.endpoint,
      dynamodb: stores.dynamodb.endpoint,
      s3: stores.s3.endpoint,
      lambda: lambda.endpoint,
    };
    const coldStarts: ColdStart[] = [];
    const services: Services = {
      ...stores,
      ...recorders,
      permissions,
      assembly,
      clock,
      environment: clientEnvironment((await options.functionEndpoints?.(endpoints)) ?? endpoints),
      concurrency: options.concurrency ?? Math.max(2, availableParallelism()),
      recordColdStart: (coldStart) => coldStarts.push(coldStart),
      recordInvocation: options.recordInvocation ?? (() => {}),
      asyncEvents,
      functions,
      functionUrls: [],
      eventSources: [],
      mappings,
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
   * @param payload a JSON value
   * @throws NotFoundError when the template has no such function
   * @throws UnavailableError when the function fails; the message contains its error type and
   *   message
   */
  async invoke(functionName: string, payload: unknown): Promise<unknown> {
    const target = this.#services.functions.get(functionName);
    if (target === undefined)
      throw new NotFoundError(`function ${functionName}: found none, expected a function of the template`);
    const result = await target.invoke(JSON.stringify(payload) ?? 'null');
    if (!result.failed) return JSON.parse(result.payload) as unknown;
    const { errorType, errorMessage } = JSON.parse(result.payload) as FunctionFailure;
    throw new UnavailableError(`function ${functionName}: ${errorType}: ${errorMessage}`);
  }

  /** Request ids of all running invocations. */
  get running(): string[] {
    return [...this.#services.functions.values()].flatMap((target) => target.running);
  }

  /**
   * Kills the function instance that runs an invocation, as the loss of its machine would.
   * @returns whether the invocation was running
   */
  kill(requestId: string): boolean {
    return [...this.#services.functions.values()].some((target) => target.kill(requestId));
  }

  /**
   * Ends all function instances, as a new deployment does, so that the next invocations start cold.
   */
  async recycle(): Promise<void> {
    await Promise.all([...this.#services.functions.values()].map((target) => target.recycle()));
  }

  /**
   * Resolves when the stack is idle: the queues of event sources are empty, no invocation is
   * running, and no asynchronous event waits for a retry. A failed message is in flight until its
   * visibility timeout ends.
   *
   * @throws UnavailableError when the stack is stopped first
   */
  async idle(): Promise<void> {
    while (!this.isIdle) {
      if (this.#stopped !== undefined)
        throw new UnavailableError('local stack: found it stopped, expected it to become idle first');
      await delay(IDLE_CHECK_MS);
    }
  }

  /** Whether the stack is idle now, see {@link idle}. */
  get isIdle(): boolean {
    return this.unfinishedMessages === 0 && !this.isRunning && !this.#services.asyncEvents.busy;
  }

  /** Whether an invocation is running or waits for an instance. */
  get isRunning(): boolean {
    return [...this.#services.functions.values()].some((target) => target.busy);
  }

  /** The number of visible, delayed and in-flight messages in the queues of event sources. */
  get unfinishedMessages(): number {
    return this.#services.eventSources.reduce((sum, source) => sum + source.unfinished, 0);
  }

  /**
   * Deletes the expired items of all tables, which otherwise happens once a minute.
   * @returns the number of deleted items
   */
  deleteExpiredItems(): Promise<number> {
    return this.#services.dynamodb.deleteExpired(this.#services.clock.now());
  }

  /**
   * Stops polling, waits up to ten seconds for running invocations, and closes everything. With a
   * data folder, the next start delivers unfinished messages again. Can be called more than once.
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

/** Locks the data folder and starts SQS, DynamoDB and S3. */
async function startStores(
  { dataDir, ports = {}, clock = systemClock }: LocalStackOptions,
  { authorize }: Permissions,
  closers: Closer[],
): Promise<Pick<Services, 'sqs' | 'dynamodb' | 's3'>> {
  const folder = dataDir === undefined ? undefined : lockDataFolder(dataDir);
  closers.push(() => folder?.release());
  const optionsOf = (service: keyof Endpoints) => ({
    port: ports[service] ?? 0,
    authorize,
    ...(folder === undefined ? {} : { dataDir: folder.pathOf(service) }),
  });
  const sqs = await startSqs(optionsOf('sqs'));
  closers.push(() => sqs.close());
  const dynamodb = await startDynamoDb(optionsOf('dynamodb'));
  closers.push(() => dynamodb.close());
  const s3 = await startS3({ ...optionsOf('s3'), now: () => clock.now() });
  closers.push(() => s3.close());
  return { sqs, dynamodb, s3 };
}

function logRecorders(
  { recordLogs }: LocalStackOptions,
  metrics: Metrics,
): Pick<Services, 'recordLine' | 'reportFault'> {
  return {
    recordLine: (name, line) => {
      metrics.record(line);
      recordLogs?.(name, line);
    },
    reportFault: (error) => {
      const message = error instanceof Error ? error.message : String(error);
      recordLogs?.(STACK_LOG, JSON.stringify({ level: 'ERROR', message }));
    },
  };
}
