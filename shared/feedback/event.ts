import { shown } from '../errors.ts';
import { vectorNorm } from '../lora/basis.ts';
import { fieldAt, valueAt } from '../validation/faults.ts';
import { isId } from '../validation/id.ts';
import {
  decodeEmbedding,
  type EmbeddingInput,
  encodeEmbedding,
  InvalidEmbeddingError,
} from './embedding-codec.ts';
import { envelopeOf } from './envelope.ts';
import { checked, InvalidEventError, UnknownItemsError } from './event-error.ts';
import {
  type CheckedInteraction,
  eventSchema,
  headerSchema,
  interactionSchema,
  LIMITS,
  type WatchSignals,
} from './event-schema.ts';
import { rewardOfWatch } from './watch-reward.ts';

export { InvalidEventError, UnknownItemsError } from './event-error.ts';

/**
 * One user's interaction with one item, ready for the learner: with a reward in [0, 1], or with a
 * target embedding.
 */
export type Interaction = {
  readonly itemId?: string;
  /** float32, of the deployment's length. */
  readonly embedding: Float32Array;
  /** The answer that showed the item to the user. */
  readonly recommendationId?: string;
  /** Names the interaction, so that a later event can correct its reward. Never with a target. */
  readonly interactionId?: string;
} & (
  | {
      readonly reward: number;
      /** True when the reward was computed from watch signals. */
      readonly watched?: true;
      readonly target?: undefined;
    }
  | { readonly target: Float32Array; readonly reward?: undefined }
);

/** A checked message of one user. */
export interface FeedbackEvent {
  readonly schemaVersion: 1;
  readonly eventId: string;
  readonly userId: string;
  /** ISO 8601 with offset. */
  readonly occurredAt: string;
  readonly embeddingModel?: string;
  readonly interactions: readonly Interaction[];
}

/**
 * An interaction as an application publishes it, with exactly one of `reward`, `watch` and
 * `target`.
 */
export interface InteractionInput {
  readonly itemId?: string | undefined;
  /** Optional when the deployment's catalogue has the item. */
  readonly embedding?: EmbeddingInput | undefined;
  /** In [0, 1]. */
  readonly reward?: number | undefined;
  readonly watch?: WatchSignals | undefined;
  readonly target?: EmbeddingInput | undefined;
  /** Id of the answer that showed the item to the user. */
  readonly recommendationId?: string | undefined;
  /** A later event with the same id and item replaces this reward. Not with `target`. */
  readonly interactionId?: string | undefined;
}

/** The header of an event. A repeated `eventId` takes effect once. */
export interface EventHeader {
  readonly eventId: string;
  readonly userId: string;
  readonly occurredAt: string;
  readonly embeddingModel?: string | undefined;
}

export interface FeedbackEventInput extends EventHeader {
  readonly interactions: readonly InteractionInput[];
}

/**
 * Reads the body of a message.
 *
 * Watch signals become a reward; see watch-reward.ts.
 *
 * @param expected the deployment's embedding length and model
 * @param itemEmbeddings embeddings of items that interactions name by id alone
 * @throws InvalidEventError with the first invalid field, what was found and what was expected;
 * UnknownItemsError when only embeddings are missing
 */
export function parseFeedbackEvent(
  body: string,
  expected: { readonly embeddingDim: number; readonly embeddingModel: string },
  itemEmbeddings: ItemEmbeddings = new Map(),
): FeedbackEvent {
  requireMessageSize(body, undefined);
  let raw: unknown;
  try {
    raw = JSON.parse(body);
  } catch {
    throw new InvalidEventError('', shown(body), 'JSON', 'not-json');
  }
  const envelope = envelopeOf(raw);
  if (envelope !== undefined) throw new InvalidEventError('', envelope.found, envelope.expected, 'envelope');
  const owner = ownerOf(raw);
  const { interactions, embeddingModel, ...event } = checked(eventSchema, raw, '', owner);
  if (embeddingModel !== undefined && embeddingModel !== expected.embeddingModel) {
    const model = shown(expected.embeddingModel);
    throw new InvalidEventError('embeddingModel', shown(embeddingModel), model, 'embedding-model', owner);
  }
  const unknown = interactions.flatMap(({ embedding, itemId }) =>
    embedding === undefined && itemId !== undefined && !itemEmbeddings.has(itemId) ? [itemId] : [],
  );
  if (unknown.length > 0) {
    const index = interactions.findIndex(
      ({ embedding, itemId }) => embedding === undefined && itemId === unknown[0],
    );
    throw new UnknownItemsError(`interactions[${index}].itemId`, [...new Set(unknown)], owner);
  }
  return {
    ...event,
    ...(embeddingModel === undefined ? {} : { embeddingModel }),
    interactions: interactions.map(({ embedding, ...interaction }, index) =>
      resolved(
        { ...interaction, embedding: embedding ?? itemEmbeddings.get(interaction.itemId ?? '')! },
        expected.embeddingDim,
        `interactions[${index}]`,
        owner,
      ),
    ),
  };
}

/** Embeddings by item id. */
export type ItemEmbeddings = ReadonlyMap<string, Float32Array>;

/**
 * Encodes the message that `parseFeedbackEvent` reads, checked by the same rules.
 * @param embeddingDim the deployment's embedding length, when known
 * @throws InvalidEventError
 */
export function encodeFeedbackEvent(event: FeedbackEventInput, embeddingDim?: number): string {
  const given: unknown = event;
  if (given === null || typeof given !== 'object') {
    throw new InvalidEventError('', shown(given), 'an object', 'schema');
  }
  if (!Array.isArray(event.interactions)) {
    const expected = `an array of 1 to ${LIMITS.interactions} interactions`;
    throw new InvalidEventError('interactions', shown(event.interactions), expected, 'schema');
  }
  const count = event.interactions.length;
  if (count < 1 || count > LIMITS.interactions) {
    throw new InvalidEventError(
      'interactions',
      `${count}`,
      `1 to ${LIMITS.interactions} interactions`,
      'limit',
    );
  }
  const interactions = event.interactions.map((interaction, index) =>
    encodeInteraction(interaction, embeddingDim, `interactions[${index}]`),
  );
  const body = assembleEvent(event, interactions);
  requireMessageSize(body, event.userId);
  return body;
}

/**
 * Encodes one interaction, so that a publisher knows its size before it fills a message.
 * @param field path of the interaction, for the error; may be empty
 * @throws InvalidEventError
 */
export function encodeInteraction(
  input: InteractionInput,
  embeddingDim: number | undefined,
  field: string,
): string {
  const { embedding, target, ...rest } = checked(interactionSchema, input, field, undefined);
  const decodedAt = (value: EmbeddingInput, name: string) =>
    decoded(value, embeddingDim, fieldAt(field, [name]), undefined);
  const vector = embedding === undefined ? undefined : decodedAt(embedding, 'embedding');
  const encoded = { ...rest, embedding: vector === undefined ? undefined : encodeEmbedding(vector) };
  if (target === undefined) return transmissible(encoded);
  const wanted = decodedAt(target, 'target');
  // Without the embedding, the consumer checks the target after it reads the catalogue.
  if (vector !== undefined) checkTarget(wanted, vector, fieldAt(field, ['target']), undefined);
  return transmissible({ ...encoded, target: encodeEmbedding(wanted) });
}

/**
 * A message of interactions that were encoded one by one.
 * @throws InvalidEventError when the header is invalid; the caller checks the number and size of
 * interactions
 */
export function assembleEvent(header: EventHeader, interactions: readonly string[]): string {
  const { eventId, userId, occurredAt, embeddingModel } = checked(headerSchema, header, '', ownerOf(header));
  const opening = transmissible({ schemaVersion: 1, eventId, userId, occurredAt, embeddingModel });
  return `${opening.slice(0, -1)},"interactions":[${interactions.join(',')}]}`;
}

/** JSON for SQS: escapes U+FFFE and U+FFFF, which SQS refuses. */
function transmissible(value: unknown): string {
  return JSON.stringify(value).replace(/[\ufffe\uffff]/g, (char) =>
    char === '\ufffe' ? '\\ufffe' : '\\uffff',
  );
}

function resolved(
  input: CheckedInteraction & { readonly embedding: EmbeddingInput },
  dim: number,
  field: string,
  owner: string | undefined,
): Interaction {
  const interaction = {
    ...(input.itemId === undefined ? {} : { itemId: input.itemId }),
    ...(input.recommendationId === undefined ? {} : { recommendationId: input.recommendationId }),
    embedding: decoded(input.embedding, dim, `${field}.embedding`, owner),
  };
  if (input.target !== undefined) {
    const target = decoded(input.target, dim, `${field}.target`, owner);
    checkTarget(target, interaction.embedding, `${field}.target`, owner);
    return { ...interaction, target };
  }
  const named = input.interactionId === undefined ? {} : { interactionId: input.interactionId };
  return input.watch === undefined
    ? { ...interaction, ...named, reward: input.reward ?? 0 }
    : { ...interaction, ...named, reward: rewardOfWatch(input.watch), watched: true };
}

/**
 * A user's targets are subtracted from rewards, so very long ones would distort the prior of all
 * others.
 */
function checkTarget(
  target: Float32Array,
  embedding: Float32Array,
  field: string,
  owner: string | undefined,
) {
  const length = vectorNorm(embedding);
  const times = vectorNorm(target) / length;
  if (length === 0 || times <= LIMITS.targetLength) return;
  const found = `a vector ${times.toExponential(1)} times as long as its item`;
  throw new InvalidEventError(field, found, `at most ${LIMITS.targetLength} times`, 'limit', owner);
}

function decoded(value: EmbeddingInput, dim: number | undefined, field: string, owner: string | undefined) {
  try {
    return decodeEmbedding(value, dim, field);
  } catch (error) {
    if (!(error instanceof InvalidEmbeddingError)) throw error;
    throw new InvalidEventError(error.field, error.found, error.expected, error.reason, owner);
  }
}

function requireMessageSize(body: string, owner: string | undefined): void {
  const bytes = Buffer.byteLength(body);
  if (bytes <= LIMITS.messageBytes) return;
  throw new InvalidEventError(
    '',
    `${bytes} bytes`,
    `at most ${LIMITS.messageBytes} bytes`,
    'too-large',
    owner,
  );
}

function ownerOf(raw: unknown): string | undefined {
  const userId = valueAt(raw, ['userId']);
  return isId(userId) ? userId : undefined;
}
