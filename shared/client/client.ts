import type { LambdaClientConfig } from '@aws-sdk/client-lambda';
import type {
  EmbeddedItem,
  PersonalizeAnswer,
  RecommendAnswer,
  ScoreAnswer,
  SimilarAnswer,
} from '../contract/answers.ts';
import { InvalidConfigurationError } from '../errors.ts';
import type { PublishedInteraction } from '../feedback/coalescing.ts';
import { decodeEmbedding, type EmbeddingInput, encodeEmbedding } from '../feedback/embedding-codec.ts';
import type { FeedbackPublisherOptions } from '../feedback/publisher.ts';
import { type CallOptions, type Clock, pause, systemClock, withDeadline } from './deadline.ts';
import { Deployment, type Service } from './deployment.ts';
import {
  type BufferOptions,
  FeedbackBuffer,
  type Published,
  type UnsentFeedback,
} from './feedback-buffer.ts';
import { invokeFunction } from './invocation.ts';
import type {
  Candidate,
  EmbedAnswer,
  EmbedRequest,
  Explained,
  ExportRequest,
  ForgetRequest,
  RecommendRequest,
  ScoreRequest,
  SearchAnswer,
  SearchRequest,
  SimilarRequest,
} from './requests.ts';
import {
  embeddingDimIn,
  learningSettingsFrom,
  type Outputs,
  outputsIn,
  type Resources,
  regionOfQueue,
  resourceIn,
} from './resources.ts';
import type { UserFiles } from './user-export.ts';
import type { ForgetReceipt } from './user-forget.ts';

export interface AttuneOptions extends BufferOptions {
  /** The file of `cdk deploy --outputs-file`, which is read at once, or its content. */
  readonly outputs?: Outputs | undefined;
  /** Name of the CloudFormation stack with the outputs, instead of `outputs`. */
  readonly stackName?: string | undefined;
  /** The resources by name; they take precedence over `outputs` and `stackName`. */
  readonly resources?: Resources | undefined;
  /** Region, credentials and endpoint default to the standard environment. */
  readonly region?: string | undefined;
  readonly credentials?: LambdaClientConfig['credentials'];
  /** For a local stack: one address for all services, or one for each. */
  readonly endpoint?: string | { readonly [service in Service]?: string | undefined } | undefined;
  /**
   * Whether this process computes `score` and `embed` from the adapter in S3, without a call of the
   * function; default false. It caches adapters (64 MiB) and reads them again when their ETag has
   * changed. Needs permission to read the bucket, and the output LearningSettings.
   */
  readonly local?: boolean | undefined;
  /**
   * The deployment's embedding length; default: that in `outputs`, unless `resources` names the
   * feedback queue. With it, `publish` refuses other lengths at once.
   */
  readonly embeddingDim?: number | undefined;
  /** Added to every event and request, so that a deployment with another model refuses it. */
  readonly embeddingModel?: string | undefined;
  /** Deadline of a call in milliseconds, unless the call has its own; default 10,000. */
  readonly deadlineMs?: number | undefined;
  /** For tests. */
  readonly clock?: Clock | undefined;
  /** For tests: the sources of retries and event ids. */
  readonly publisher?: Pick<FeedbackPublisherOptions, 'newEventId' | 'sleep' | 'random' | 'maxAttempts'>;
}

type Personalize = (request: object) => Promise<PersonalizeAnswer>;

/**
 * How long local mode uses the cached basis and population model before it asks S3; the function
 * does the same.
 */
const SHARED_MAX_AGE_MS = 30_000;

/**
 * A client of a deployment: publishes feedback, and reads scores, embeddings and recommendations.
 */
export class Attune {
  readonly #options: AttuneOptions;
  readonly #clock: Clock;
  readonly #deployment: Deployment;
  readonly #buffer: FeedbackBuffer;
  /** Of `outputs`; undefined without. */
  readonly #outputs: unknown;
  #stackOutputs: Promise<unknown> | undefined;
  #local: Promise<Personalize> | undefined;

  constructor(options: AttuneOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { outputs, resources } = options;
    this.#outputs = typeof outputs === 'string' ? outputsIn(outputs) : outputs;
    this.#deployment = new Deployment({
      nameOf: (resource) => this.#nameOf(resource),
      learningSettings: async () =>
        learningSettingsFrom(await this.#nameOf('learningSettings'), 'LearningSettings'),
      clientConfig: (service, resource) => this.#clientConfig(service, resource),
    });
    // A queue named in resources may belong to another deployment than outputs.
    const isQueueOfOutputs = resources?.feedbackQueueUrl === undefined;
    const deployedDim = isQueueOfOutputs ? embeddingDimIn(this.#outputs) : undefined;
    const publisher = {
      ...options.publisher,
      queue: lazyQueue(() => this.#deployment.queue()),
      embeddingDim: checkedDim(options.embeddingDim, deployedDim),
      embeddingModel: options.embeddingModel,
    };
    this.#buffer = new FeedbackBuffer(publisher, this.#clock, options);
  }

  /**
   * Publishes one interaction of a user. Interactions wait up to `maxWaitMs`, so that those of a
   * user share an event.
   * @returns the id of the event, after the queue has accepted it; if you publish many
   * interactions, do not await each
   * @throws InvalidInputError at once; UnavailableError when the buffer is full;
   * UnsentFeedbackError after the last retry
   */
  publish(interaction: PublishedInteraction): Promise<Published> {
    return this.#buffer.publish(interaction);
  }

  /** Resolves when the buffer has room. Call it before `publish` when you publish much. */
  ready(options: CallOptions = {}): Promise<void> {
    return withDeadline('ready', options, this.#clock, (signal) => this.#buffer.ready(signal));
  }

  /** Sends the whole buffer. Resolves when the queue accepted it, or `onError` was called. */
  flush(options: CallOptions = {}): Promise<void> {
    return withDeadline('flush', options, this.#clock, (signal) => this.#buffer.flush(signal));
  }

  /**
   * Scores candidates for a user, best first.
   * @throws InvalidInputError, NotFoundError, InvalidConfigurationError, UnavailableError
   */
  async score({ userId, candidates, explain, ...call }: ScoreRequest): Promise<ScoreAnswer> {
    const request = { userId, candidates: candidates.map(encoded), answer: 'scores', explain };
    return (await this.#personalize('score', call, request)) as ScoreAnswer;
  }

  /**
   * Returns the candidates' embeddings, personalised for the user.
   * @throws like `score`
   */
  async embed({ userId, candidates, ...call }: EmbedRequest): Promise<EmbedAnswer> {
    const request = { userId, candidates: candidates.map(encoded), answer: 'embeddings' };
    const answer = await this.#personalize('embed', call, request);
    const items = (answer.items as readonly EmbeddedItem[]).map((item, i) => ({
      ...item,
      embedding: decodeEmbedding(item.embedding, undefined, `items[${i}].embedding`),
    }));
    return { ...answer, items };
  }

  /**
   * Returns the best items of the whole catalogue for a user, best first.
   * @throws like `score`
   */
  recommend({ signal, deadlineMs, ...request }: RecommendRequest): Promise<RecommendAnswer> {
    return this.#invoke('recommend', { signal, deadlineMs }, { action: 'recommend', ...request });
  }

  /**
   * Returns items similar to an item, for everybody or for a user.
   * @throws like `score`
   */
  similar({ signal, deadlineMs, ...request }: SimilarRequest): Promise<SimilarAnswer> {
    return this.#invoke('similar', { signal, deadlineMs }, { action: 'similar', ...request });
  }

  /**
   * Returns items by a query embedding and the user's taste together.
   * @throws like `score`
   */
  async search({ signal, deadlineMs, query, ...request }: SearchRequest): Promise<SearchAnswer> {
    const asked = { action: 'search', query: encodedEmbedding(query), ...request };
    const { queryVector, ...answer } = await this.#invoke<
      Omit<SearchAnswer, 'queryVector'> & { queryVector?: string }
    >('search', { signal, deadlineMs }, asked);
    if (queryVector === undefined) return answer;
    return { ...answer, queryVector: decodeEmbedding(queryVector, undefined, 'queryVector') };
  }

  /**
   * Explains recommendations or scores of candidates: returns every score with its parts.
   * @throws like `score`
   */
  explain(request: ScoreRequest): Promise<Explained<ScoreAnswer>>;
  explain(request: RecommendRequest): Promise<Explained<RecommendAnswer>>;
  explain(request: ScoreRequest | RecommendRequest): Promise<object> {
    const explained = { ...request, explain: true };
    return 'candidates' in explained ? this.score(explained) : this.recommend(explained);
  }

  /**
   * Removes everything stored about a user, and checks that it is gone. Takes 35 seconds, so that
   * running updates can end. Drops later events of the user until the time in the receipt. Needs
   * more permissions than `recommend`: see docs/permissions.md.
   * @throws NotFoundError when nothing is known about the user; UnavailableError when something is
   * left: call it again
   */
  forget({ userId, settleMs, tombstone = false, ...call }: ForgetRequest): Promise<ForgetReceipt> {
    return withDeadline('forget', call, this.#clock, async (signal) => {
      const { forgetUser, SETTLE_SECONDS } = await import('./user-forget.ts');
      return forgetUser(userId, this.#deployment, {
        settle: () => pause(settleMs ?? SETTLE_SECONDS * 1000, this.#clock, signal),
        now: this.#clock.now,
        tombstone,
      });
    });
  }

  /**
   * Returns everything that is stored about a user, as files. Needs more permissions than
   * `recommend`: see docs/permissions.md.
   * @returns empty when nothing is stored
   * @throws UnavailableError, CorruptObjectError, InvalidConfigurationError
   */
  export({ userId, format = 'all', ...call }: ExportRequest): Promise<UserFiles> {
    return withDeadline('export', call, this.#clock, async () => {
      const [{ peftOf, recordsOf }, { userKey }] = await Promise.all([
        import('./user-export.ts'),
        import('../config/user-key.ts'),
      ]);
      return format === 'peft'
        ? peftOf(userId, this.#deployment)
        : recordsOf(userKey(userId), this.#deployment);
    });
  }

  /**
   * Sends the whole buffer and closes the client. Afterwards, nothing can be published.
   * @returns interactions that could not be sent, also when the signal or the deadline ended the
   * call
   */
  async close({
    signal,
    deadlineMs = this.#deadlineMs,
  }: CallOptions = {}): Promise<readonly UnsentFeedback[]> {
    const controller = new AbortController();
    const stop = () => controller.abort();
    const cancel = this.#clock.after(deadlineMs, stop);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    try {
      return await this.#buffer.close(controller.signal);
    } finally {
      cancel();
      signal?.removeEventListener('abort', stop);
      await this.#deployment.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #deadlineMs(): number {
    return this.#options.deadlineMs ?? 10_000;
  }

  #personalize(what: string, call: CallOptions, request: object): Promise<PersonalizeAnswer> {
    if (this.#options.local !== true) return this.#invoke(what, call, request);
    const { signal, deadlineMs = this.#deadlineMs } = call;
    return withDeadline(what, { signal, deadlineMs }, this.#clock, async () => {
      this.#local ??= this.#openLocal().catch((error) => {
        this.#local = undefined;
        throw error;
      });
      return (await this.#local)(this.#named(request));
    });
  }

  /** Does the work of the personalize function in this process. */
  async #openLocal(): Promise<Personalize> {
    const [services, { parsePersonalizeRequest }, { personalize }] = await Promise.all([
      this.#deployment.serving(SHARED_MAX_AGE_MS),
      import('../contract/personalize-request.ts'),
      import('../serving/personalize.ts'),
    ]);
    return (request) => personalize(parsePersonalizeRequest(request, services.settings), services);
  }

  #invoke<Answer extends object>(what: string, call: CallOptions, request: object): Promise<Answer> {
    const { signal, deadlineMs = this.#deadlineMs } = call;
    return withDeadline(what, { signal, deadlineMs }, this.#clock, async (stopped) => {
      const { name, client } = await this.#deployment.lambda();
      return invokeFunction<Answer>(client, name, this.#named(request), stopped);
    });
  }

  #named(request: object): object {
    const { embeddingModel } = this.#options;
    return embeddingModel === undefined ? request : { ...request, embeddingModel };
  }

  async #nameOf(resource: keyof Resources): Promise<string> {
    const found =
      this.#options.resources?.[resource] ?? resourceIn(this.#outputs ?? (await this.#ofStack()), resource);
    if (found !== undefined) return found;
    throw new InvalidConfigurationError(
      `createAttune: found no ${resource}, expected it in resources or in the outputs of the deployment`,
    );
  }

  /** The outputs of the stack that `stackName` names; undefined without. */
  #ofStack(): Promise<unknown> | undefined {
    const { stackName } = this.#options;
    if (stackName === undefined) return undefined;
    this.#stackOutputs ??= import('./stack-outputs.ts')
      .then(({ outputsOfStack }) =>
        outputsOfStack(stackName, this.#clientConfig('cloudformation', stackName)),
      )
      .catch((error) => {
        this.#stackOutputs = undefined;
        throw error;
      });
    return this.#stackOutputs;
  }

  #clientConfig(service: Service, resource: string) {
    const { credentials, endpoint } = this.#options;
    const region = this.#options.region ?? (service === 'sqs' ? regionOfQueue(resource) : undefined);
    const at = typeof endpoint === 'object' ? endpoint[service] : endpoint;
    return {
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(at === undefined ? {} : { endpoint: at }),
    };
  }
}

/**
 * Creates a client of the deployment that `outputs`, `stackName` or `resources` name. Loads SDK
 * clients on first use.
 * @throws InvalidConfigurationError when none of them is given; NotFoundError or InvalidInputError
 * when the file of `outputs` is missing or not JSON
 */
export function createAttune(options: AttuneOptions): Attune {
  const { outputs, stackName, resources } = options;
  if (outputs === undefined && stackName === undefined && resources === undefined)
    throw new InvalidConfigurationError(
      'createAttune: found no outputs, stackName or resources, expected one of them',
    );
  return new Attune(options);
}

/** @throws InvalidConfigurationError when the given length is not that of the deployment */
function checkedDim(given: number | undefined, deployed: number | undefined): number | undefined {
  if (given === undefined || deployed === undefined || given === deployed) return given ?? deployed;
  throw new InvalidConfigurationError(
    `embeddingDim: found ${given}, expected ${deployed}, the value of outputs`,
  );
}

function lazyQueue(
  open: () => Promise<FeedbackPublisherOptions['queue']>,
): FeedbackPublisherOptions['queue'] {
  let opened: ReturnType<typeof open> | undefined;
  return {
    async sendBatch(entries) {
      opened ??= open();
      return (await opened).sendBatch(entries);
    },
  };
}

function encoded({ itemId, embedding }: Candidate) {
  return { itemId, embedding: encodedEmbedding(embedding) };
}

/**
 * Base64 is a quarter of an array's length. Other values go unchanged, so that the function can
 * explain the error.
 */
function encodedEmbedding(embedding: EmbeddingInput) {
  return embedding instanceof Float32Array ? encodeEmbedding(embedding) : embedding;
}
