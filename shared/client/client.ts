import type { LambdaClient, LambdaClientConfig } from '@aws-sdk/client-lambda';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type {
  EmbeddedItem,
  PersonalizeAnswer,
  RecommendAnswer,
  ScoredItem,
  SimilarAnswer,
} from '../contract/answers.ts';
import { InvalidConfigurationError } from '../errors.ts';
import type { PublishedInteraction } from '../feedback/coalescing.ts';
import { decodeEmbedding, type EmbeddingInput, encodeEmbedding } from '../feedback/embedding-codec.ts';
import type { FeedbackPublisherOptions } from '../feedback/publisher.ts';
import type { InteractionKind } from '../interaction-kinds.ts';
import { type CallOptions, type Clock, systemClock, withDeadline } from './deadline.ts';
import { type BufferOptions, FeedbackBuffer, type UnsentFeedback } from './feedback-buffer.ts';
import { invokeFunction } from './invocation.ts';
import { type Outputs, type Resources, resourcesOf } from './resources.ts';

export interface AttuneOptions extends BufferOptions {
  /** The file of `cdk deploy --outputs-file`, or its content. */
  readonly outputs?: Outputs | undefined;
  /** The resources by name, instead of `outputs`. */
  readonly resources?: Resources | undefined;
  /** Region, credentials and endpoint default to the standard environment. */
  readonly region?: string | undefined;
  readonly credentials?: LambdaClientConfig['credentials'];
  /**
   * Endpoints of Lambda and SQS, for a local stack whose services share an address or have one
   * each.
   */
  readonly endpoint?: string | { readonly lambda: string; readonly sqs: string } | undefined;
  /** The deployment's embedding length. With it, `publish` refuses other lengths at once. */
  readonly embeddingDim?: number | undefined;
  /** Written into every event, so that a deployment with another model refuses it. */
  readonly embeddingModel?: string | undefined;
  /** Deadline of a call in milliseconds, unless the call has its own; default 10,000. */
  readonly deadlineMs?: number | undefined;
  /** For tests. */
  readonly clock?: Clock | undefined;
  /** For tests: the sources of retries and event ids. */
  readonly publisher?: Pick<FeedbackPublisherOptions, 'newEventId' | 'sleep' | 'random' | 'maxAttempts'>;
}

export interface Candidate {
  readonly itemId?: string | undefined;
  readonly embedding: EmbeddingInput;
}

export interface ScoreRequest extends CallOptions {
  readonly userId: string;
  /** 1 to 500. */
  readonly candidates: readonly Candidate[];
  /** Whether scores come with their parts. */
  readonly explain?: boolean | undefined;
}

export type EmbedRequest = Omit<ScoreRequest, 'explain'>;

/** Options of both {@link Attune.recommend} and {@link Attune.similar}; see docs/recommend.md. */
export interface Choosing extends CallOptions {
  /** 1 to 500; default 20. */
  readonly limit?: number | undefined;
  /** Such as `{ attribute: 'genre', in: ['comedy'] }`. */
  readonly filter?: unknown;
  /** Item ids to leave out. */
  readonly exclude?: readonly string[] | undefined;
  /** Whether to exclude the items that the user has interacted with; default true. */
  readonly excludeInteracted?: boolean | undefined;
  /** Exclude only items of the last so many days; default all remembered ones. */
  readonly interactedWithinDays?: number | undefined;
  /** Exclude only items with one of these kinds of interaction; default all kinds. */
  readonly interactedBy?: readonly InteractionKind[] | undefined;
  /** From 0 (by score alone, the default) to 1. */
  readonly diversity?: number | undefined;
  readonly maxPerValue?: { readonly attribute: string; readonly count: number } | undefined;
  readonly explain?: boolean | undefined;
}

export interface RecommendRequest extends Choosing {
  readonly userId: string;
  /** Whether to draw the user's coefficients from their posterior; default false. */
  readonly explore?: boolean | undefined;
  /** Names the answer in feedback; default a new id. The same id repeats a draw. */
  readonly requestId?: string | undefined;
}

export interface SimilarRequest extends Choosing {
  readonly itemId: string;
  /** Orders the items by this user's taste. */
  readonly userId?: string | undefined;
}

export interface ScoreAnswer extends Omit<PersonalizeAnswer, 'items'> {
  /** By falling score. */
  readonly items: readonly ScoredItem[];
}

export interface EmbedAnswer extends Omit<PersonalizeAnswer, 'items'> {
  /** In the order of the candidates. */
  readonly items: readonly (Omit<EmbeddedItem, 'embedding'> & { readonly embedding: Float32Array })[];
}

/**
 * A client of a deployment: publishes feedback, and reads scores, embeddings and recommendations.
 */
export class Attune {
  readonly #options: AttuneOptions;
  readonly #clock: Clock;
  #resources: Promise<Resources> | undefined;
  #lambda: Promise<LambdaClient> | undefined;
  #sqs: SQSClient | undefined;
  readonly #buffer: FeedbackBuffer;

  constructor(options: AttuneOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const publisher = {
      ...options.publisher,
      queue: lazyQueue(() => this.#openQueue()),
      embeddingDim: options.embeddingDim,
      embeddingModel: options.embeddingModel,
    };
    this.#buffer = new FeedbackBuffer(publisher, this.#clock, options);
  }

  /**
   * Publishes one interaction of a user. Interactions wait up to `maxWaitMs`, so that those of a
   * user share a message.
   * @returns resolves when the queue accepted it; do not await each of many
   * @throws InvalidInputError at once; UnavailableError when the buffer is full;
   * UnsentFeedbackError after the last retry
   */
  publish(interaction: PublishedInteraction): Promise<void> {
    return this.#buffer.publish(interaction);
  }

  /** Resolves when the buffer has room. Call it before `publish` when you publish much. */
  ready(options: CallOptions = {}): Promise<void> {
    return withDeadline('ready', options, this.#clock, (signal) => this.#buffer.ready(signal));
  }

  /** Sends everything that waits. Resolves when the queue accepted it, or `onError` was called. */
  flush(options: CallOptions = {}): Promise<void> {
    return withDeadline('flush', options, this.#clock, (signal) => this.#buffer.flush(signal));
  }

  /**
   * Scores candidates for a user, best first.
   * @throws InvalidInputError, NotFoundError, InvalidConfigurationError, UnavailableError
   */
  score({ userId, candidates, explain, ...call }: ScoreRequest): Promise<ScoreAnswer> {
    return this.#invoke('score', call, {
      userId,
      candidates: candidates.map(encoded),
      answer: 'scores',
      explain,
    });
  }

  /**
   * Returns the candidates' embeddings, moved by the user's taste.
   * @throws like `score`
   */
  async embed({ userId, candidates, ...call }: EmbedRequest): Promise<EmbedAnswer> {
    const request = { userId, candidates: candidates.map(encoded), answer: 'embeddings' };
    const answer = await this.#invoke<Omit<PersonalizeAnswer, 'items'> & { items: readonly EmbeddedItem[] }>(
      'embed',
      call,
      request,
    );
    const items = answer.items.map((item, i) => ({
      ...item,
      embedding: decodeEmbedding(item.embedding, undefined, `items[${i}].embedding`),
    }));
    return { ...answer, items };
  }

  /**
   * Returns the best items of the whole catalogue for a user, best first.
   * @throws like `score`
   */
  recommend(request: RecommendRequest): Promise<RecommendAnswer> {
    const { signal, deadlineMs, ...asked } = request;
    return this.#invoke('recommend', { signal, deadlineMs }, { action: 'recommend', ...asked });
  }

  /**
   * Returns items similar to an item, for everybody or for a user.
   * @throws like `score`
   */
  similar(request: SimilarRequest): Promise<SimilarAnswer> {
    const { signal, deadlineMs, ...asked } = request;
    return this.#invoke('similar', { signal, deadlineMs }, { action: 'similar', ...asked });
  }

  /**
   * Sends everything that waits, and closes the client. Nothing can be published afterwards.
   * @returns what could not be sent, also when the signal or the deadline ended it
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
      this.#sqs?.destroy();
      (await this.#lambda?.catch(() => undefined))?.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #deadlineMs(): number {
    return this.#options.deadlineMs ?? 10_000;
  }

  #invoke<Answer extends object>(what: string, call: CallOptions, request: object): Promise<Answer> {
    const { signal, deadlineMs = this.#deadlineMs } = call;
    return withDeadline(what, { signal, deadlineMs }, this.#clock, async (stopped) => {
      const [name, client] = await Promise.all([
        this.#resource('personalizeFunctionName'),
        this.#openLambda(),
      ]);
      return invokeFunction<Answer>(client, name, request, stopped);
    });
  }

  async #resource(name: keyof Resources): Promise<string> {
    const { outputs, resources } = this.#options;
    this.#resources ??= outputs === undefined ? Promise.resolve({}) : resourcesOf(outputs);
    const found = resources?.[name] ?? (await this.#resources)[name];
    if (found !== undefined) return found;
    throw new InvalidConfigurationError(
      `createAttune: found no ${name}, expected it in resources or in the outputs of the deployment`,
    );
  }

  #openLambda(): Promise<LambdaClient> {
    this.#lambda ??= import('../config/clients/lambda.ts').then(({ lambdaClient }) =>
      lambdaClient(this.#clientConfig('lambda')),
    );
    return this.#lambda;
  }

  async #openQueue() {
    const [{ sqsClient }, { SqsFeedbackQueue }, url] = await Promise.all([
      import('../config/clients/sqs.ts'),
      import('../feedback/sqs-queue.ts'),
      this.#resource('feedbackQueueUrl'),
    ]);
    this.#sqs ??= sqsClient(this.#clientConfig('sqs'));
    return new SqsFeedbackQueue(this.#sqs, url);
  }

  #clientConfig(service: 'lambda' | 'sqs') {
    const { region, credentials, endpoint } = this.#options;
    const at = typeof endpoint === 'object' ? endpoint[service] : endpoint;
    return {
      ...(region === undefined ? {} : { region }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(at === undefined ? {} : { endpoint: at }),
    };
  }
}

/**
 * Creates a client of the deployment that `outputs` or `resources` name. SDK clients are loaded on
 * first use.
 * @throws InvalidConfigurationError when neither is given
 */
export function createAttune(options: AttuneOptions): Attune {
  if (options.outputs === undefined && options.resources === undefined)
    throw new InvalidConfigurationError('createAttune: found neither outputs nor resources, expected one');
  return new Attune(options);
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

/**
 * Base64 is a quarter of an array's length. Other values go unchanged, so that the function
 * explains what is wrong.
 */
function encoded({ itemId, embedding }: Candidate) {
  return { itemId, embedding: embedding instanceof Float32Array ? encodeEmbedding(embedding) : embedding };
}
