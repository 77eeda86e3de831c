import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Invocation } from '../../infra/local/lambda/function.ts';
import { LocalStack } from '../../infra/local/local-stack.ts';
import type { Template } from '../../infra/local/template.ts';
import { synthesize } from '../../infra/synth.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';
import { METRIC, OUTPUT } from '../../shared/config/names.ts';
import { settingsFromContext } from '../../shared/config/settings.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { SqsFeedbackQueue } from '../../shared/feedback/sqs-queue.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { ManualClock } from '../infra/local/manual-clock.ts';
import { runAttune } from '../support/run-attune.ts';
import { type AlarmProperties, type AlarmState, type MetricReference, stateOf } from './alarm-state.ts';

export const SETTINGS = settingsFromContext({ embeddingDim: 16, embeddingModel: 'films', rank: 2 });

/** An item as a user met it. */
export interface Met {
  readonly itemId: string;
  /** Left out when the catalogue has the item. */
  readonly embedding?: readonly number[];
  readonly reward: number;
}

export interface StackOptions {
  /** Changes the template before the stack starts. */
  readonly change?: (template: Template) => void;
  /** Maximum number of concurrent invocations of a function. */
  readonly concurrency?: number;
}

/** The place of an alarm's function or queue in the template. */
const FUNCTIONS = { UpdateAdapters: 'updateFunctionName', Personalize: 'personalizeFunctionName' } as const;
const QUEUES = { DeadLetters: 'deadLetterQueueUrl', Failures: 'consolidationFailuresUrl' } as const;

/**
 * The whole stack with its own clock, services that can fail, and the state of its alarms. Data
 * survives `restart`, which simulates a deployment.
 */
export class DrillStack {
  readonly clock = new ManualClock(Date.now());
  /** Faults of the services, as the functions see them. */
  readonly faults = { bucketDown: false, tableThrottled: false, bucketSlow: false };
  /** Commands that were run, without options. */
  readonly ran = new Set<string>();
  readonly #folder: string;
  readonly #assembly: string;
  readonly #say: (line: string) => void;
  #closers: (() => unknown)[] = [];
  #stack!: LocalStack;
  stores!: ReturnType<DrillStack['openStores']>;
  #template!: Template;
  #logs: { name: string; line: string }[] = [];
  #invocations: Invocation[] = [];
  /** Number of each metric's values that belong to earlier periods. */
  #seen = new Map<string, number>();

  private constructor(folder: string, assembly: string, say: (line: string) => void) {
    this.#folder = folder;
    this.#assembly = assembly;
    this.#say = say;
  }

  /** @param assembly see `synthesizeOnce` */
  static async start(
    assembly: string,
    say: (line: string) => void,
    options: StackOptions = {},
  ): Promise<DrillStack> {
    const drill = new DrillStack(mkdtempSync(join(tmpdir(), 'attune-runbook-')), assembly, say);
    await drill.#start(options);
    return drill;
  }

  async #start({ change = () => {}, concurrency }: StackOptions): Promise<void> {
    const assemblyDir = join(this.#folder, 'assembly');
    await cp(this.#assembly, assemblyDir, { recursive: true });
    const file = join(assemblyDir, 'Attune.template.json');
    this.#template = JSON.parse(await readFile(file, 'utf8'));
    change(this.#template);
    await writeFile(file, JSON.stringify(this.#template));
    this.#stack = await LocalStack.start({
      assemblyDir,
      dataDir: join(this.#folder, 'data'),
      clock: this.clock,
      ...(concurrency !== undefined && { concurrency }),
      recordLogs: (name, line) => this.#logs.push({ name, line }),
      recordInvocation: (invocation) => this.#invocations.push(invocation),
      functionEndpoints: (endpoints) => this.#withFaults(endpoints),
    });
    this.#closers.push(() => this.#stack.stop());
    this.stores = this.openStores();
    await writeFile(this.#outputs, JSON.stringify({ Attune: this.#stack.outputs }));
  }

  async #withFaults<T extends { s3: string; dynamodb: string }>(endpoints: T): Promise<T> {
    const common = { record: () => {}, kill: () => {}, slowMs: 9_000 };
    const s3 = await startFaultProxy({
      ...common,
      service: 's3',
      target: endpoints.s3,
      down: () => this.faults.bucketDown,
      decide: () => (this.faults.bucketSlow ? 'slow' : undefined),
    });
    const dynamodb = await startFaultProxy({
      ...common,
      service: 'dynamodb',
      target: endpoints.dynamodb,
      decide: () => (this.faults.tableThrottled ? 'throttled' : undefined),
    });
    this.#closers.push(
      () => s3.close(),
      () => dynamodb.close(),
    );
    return { ...endpoints, s3: s3.endpoint, dynamodb: dynamodb.endpoint };
  }

  /** Deploys again. */
  async restart(options: StackOptions = {}): Promise<void> {
    await this.#close();
    this.#invocations = [];
    this.#seen = new Map();
    await this.#start(options);
  }

  async #close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  async stop(): Promise<void> {
    await this.#close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #outputs(): string {
    return join(this.#folder, 'outputs.json');
  }

  output(name: keyof typeof OUTPUT): string {
    return this.#stack.outputs[OUTPUT[name]]!;
  }

  /** A file in a folder that is removed with the stack. */
  file(name: string, text: string): Promise<string> {
    const path = join(this.#folder, name);
    return writeFile(path, text).then(() => path);
  }

  /** Opens stores with separate clients, which see no faults. */
  openStores() {
    const { s3: endpoint, sqs: sqsEndpoint } = this.#stack.endpoints;
    const common = {
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    };
    const s3 = s3Client({ ...common, endpoint });
    const sqs = sqsClient({ ...common, endpoint: sqsEndpoint });
    this.#closers.push(
      () => s3.destroy(),
      () => sqs.destroy(),
    );
    const objects = new ObjectStore(s3, this.output('bucketName'));
    return {
      objects,
      adapters: new AdapterStore(objects),
      queue: new SqsFeedbackQueue(sqs, this.output('feedbackQueueUrl')),
      learning: learningObjects(objects, SETTINGS, { maxAgeMs: 0 }),
    };
  }

  /** Publishes one event. */
  async publish(userId: string, eventId: string, interactions: readonly Met[]): Promise<void> {
    const body = encodeFeedbackEvent({
      eventId,
      userId,
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: interactions.map(({ embedding, ...met }) => ({
        ...met,
        ...(embedding !== undefined && { embedding: Float32Array.from(embedding) }),
      })),
    });
    await this.stores.queue.sendBatch([
      { id: '1', body, messageGroupId: userKey(userId), messageDeduplicationId: eventId },
    ]);
  }

  idle(): Promise<void> {
    return this.#stack.idle();
  }

  invoke(name: keyof typeof OUTPUT, payload: object): Promise<unknown> {
    return this.#stack.invoke(this.output(name), payload);
  }

  /**
   * Restarts all instances, as happens after half a minute or a deployment, so that they read S3
   * again.
   */
  deployed(): Promise<void> {
    return this.#stack.recycle();
  }

  /** Asks personalize through its URL. */
  async ask(request: object): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(this.output('personalizeUrl'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/lambda/aws4_request',
      },
      body: JSON.stringify(request),
    });
    return { status: answer.status, text: await answer.text() };
  }

  /** Runs the schedule for some time, with everything that it starts. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    while (this.#stack.isRunning) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Runs a command of the article, and prints its output. */
  async attune(...args: string[]): Promise<string> {
    this.#say(
      `    $ attune ${args.map((arg) => (arg.length > 40 ? `${arg.slice(0, 16)}…` : arg)).join(' ')}`,
    );
    const { code, stdout, stderr } = await this.quietly(...args);
    const text = [stdout, stderr].filter((each) => each !== '').join('\n');
    this.show(code === 0 ? text : `exit code ${code}\n${text}`);
    return stdout;
  }

  async quietly(...args: string[]) {
    const [first = '', second = ''] = args;
    this.ran.add(first);
    this.ran.add(`${first} ${second}`);
    return runAttune([...args, '--outputs', this.#outputs], { env: { ...this.#stack.environment } });
  }

  /** Prints lines of other sources. */
  show(text: string): void {
    const lines = text.trimEnd().split('\n');
    for (const line of lines.slice(0, 8)) this.#say(`      ${line.slice(0, 700)}`);
    if (lines.length > 8) this.#say(`      … ${lines.length - 8} more lines`);
  }

  /** An action of the person who follows the article, other than a command. */
  note(text: string): void {
    this.#say(`    ${text}`);
  }

  /** The newest lines of level ERROR or WARN in the logs of all functions. */
  log(count = 1): void {
    const entries = this.#logs.flatMap(({ line }) => {
      if (!/"level":"(ERROR|WARN)"/.test(line)) return [];
      const { level, message, error = {}, key, name } = JSON.parse(line);
      const text = typeof message === 'string' ? message : JSON.stringify(message);
      return [
        [level, text, key ?? name ?? '', error.name ?? '', error.message ?? ''].filter(Boolean).join(' | '),
      ];
    });
    this.note('log, newest lines of level ERROR or WARN:');
    for (const entry of [...new Set(entries)].slice(-count)) this.show(entry);
  }

  /** The current state of an alarm. */
  state(alarm: string): Promise<AlarmState> {
    const found = Object.entries(this.#template.Resources).find(([id]) =>
      new RegExp(`^MonitoringAlarms${alarm}[0-9A-F]{8}$`).test(id),
    );
    if (found === undefined) throw new Error(`the template has no alarm ${alarm}`);
    return stateOf(found[1].Properties as unknown as AlarmProperties, (metric) => this.#valuesOf(metric));
  }

  /** Starts a new period of the metrics. */
  nextPeriod(): void {
    this.#invocations = [];
    for (const name of Object.values(METRIC)) this.#seen.set(name, this.#stack.metrics.values(name).length);
  }

  async #valuesOf({ Namespace, MetricName, Dimensions = [] }: MetricReference): Promise<readonly number[]> {
    const at = JSON.stringify(Dimensions[0]?.Value);
    if (Namespace === 'AWS/SQS') return this.#ofQueue(MetricName, at);
    if (Namespace === 'AWS/Lambda') return this.#ofFunction(MetricName, at);
    return this.#stack.metrics.values(MetricName).slice(this.#seen.get(MetricName) ?? 0);
  }

  async #ofQueue(name: string, at: string): Promise<readonly number[]> {
    const [, output = 'feedbackQueueUrl'] = Object.entries(QUEUES).find(([part]) => at.includes(part)) ?? [];
    const queue = this.output(output as keyof typeof OUTPUT)
      .split('/')
      .at(-1);
    const url = `${this.#stack.endpoints.sqs}/_fauxqs/queues/${queue}`;
    const { messages } = (await (await fetch(url)).json()) as { messages: QueueContent };
    if (name === 'ApproximateNumberOfMessagesVisible') return [messages.ready.length];
    const sent = [...messages.ready, ...messages.inflight.map(({ message }) => message)];
    if (sent.length === 0) return [0];
    return [(this.clock.now() - Math.min(...sent.map(({ sentTimestamp }) => sentTimestamp))) / 1000];
  }

  #ofFunction(name: string, at: string): readonly number[] {
    const [, output = 'consolidateFunctionName'] =
      Object.entries(FUNCTIONS).find(([part]) => at.includes(part)) ?? [];
    const mine = this.#invocations.filter(
      ({ functionName }) => functionName === this.output(output as keyof typeof OUTPUT),
    );
    if (name === 'Duration') return mine.map(({ durationMs }) => Math.round(durationMs));
    if (name === 'Errors') return mine.map(({ failed }) => (failed ? 1 : 0));
    if (name === 'Throttles') return mine.map(({ waited }) => (waited ? 1 : 0));
    return mine.map(() => 1);
  }
}

interface QueueContent {
  readonly ready: readonly { readonly sentTimestamp: number }[];
  readonly inflight: readonly { readonly message: { readonly sentTimestamp: number } }[];
}

/** The stack of all drills, in a folder. */
export function synthesizeOnce(outdir: string): void {
  const { embeddingDim, embeddingModel, rank } = SETTINGS;
  synthesize({ outdir, settings: { embeddingDim, embeddingModel, rank } });
}
