import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { AdaptationContext } from './adaptation-context.ts';

/** What the ReasoningBank remembers of one update of one user's adapter. */
export interface Episode {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /** Version of the adapter that the update made; the episode's identity together with the user. 0 in a report that names none. */
  readonly version: number;
  /** Context bucket that makes episodes comparable; see {@link cellOf}. */
  readonly cell: string;
  /** When the update was committed, epoch milliseconds. */
  readonly committedAt: number;
  readonly context: {
    /** Feedback events in this update. */
    readonly events: number;
    /** Interactions in this update. */
    readonly interactions: number;
    /** Rewards that the adapter had seen before this update. */
    readonly samplesSeen: number;
    /** Version of the skills that the update was solved with; 0 before there were any. */
    readonly skillsVersion: number;
  };
  readonly outcome: Outcome;
  /** What each item with an id got beyond expectation, in order; for learning item effects. */
  readonly residuals: readonly ItemResidual[];
  /** Which of the interactions answer to which recommendation, where they say so; the newest 256. */
  readonly attributions?: readonly Attribution[] | undefined;
  /** Some items' embeddings, for the basis; few episodes have any, see embedding-sample.ts. */
  readonly embeddings?: readonly Float16Array[] | undefined;
  /** The numbers that the learner was steered by. */
  readonly hyperparameters?: Readonly<Record<string, number>> | undefined;
  /** True where the user was served without adapter; left out of all others. */
  readonly heldOut?: true | undefined;
  /** What the bank was told, where the episode came through `storePattern`; the update path reports nothing in words. */
  readonly report?: Report;
}

/** An episode in the words of whoever told it to the bank; see `NewPattern`. */
export interface Report {
  readonly id: string;
  readonly sessionId: string;
  readonly task: string;
  readonly input: string;
  readonly output: string;
  readonly critique: string;
  readonly success: boolean;
  readonly reward: number;
  readonly latencyMs: number;
  readonly tokensUsed: number;
  readonly context: AdaptationContext;
}

/** Test-then-train: every reward predicted before it was learned from. Losses are mean squared errors. */
export interface Outcome {
  /** Rewards predicted; 0 when the update had target embeddings only, and then all losses are 0. */
  readonly rewards: number;
  readonly meanReward: number;
  readonly loss: number;
  /** Of the user's shrunken mean reward: the loss without an adapter. */
  readonly lossWithoutAdapter: number;
  /** Of the warm start alone. */
  readonly lossOfWarmStart: number;
  /** What the adapter's own part of the prediction, the user's taste, did; only of the learner 'sgd', whose learning rates it judges. */
  readonly taste?: TasteOutcome | undefined;
}

export interface TasteOutcome {
  /** Of the user's mean with item effects. */
  readonly lossWithout: number;
  /** Mean square of what the taste added to the prediction. */
  readonly meanSquare: number;
}

export interface ItemResidual {
  readonly itemKey: bigint;
  /** float32. */
  readonly residual: number;
}

/** An interaction with an item that a recommendation had shown. */
export interface Attribution {
  readonly recommendationId: string;
  readonly itemKey: bigint;
  /** Null where the interaction had a target embedding. */
  readonly reward: number | null;
}

/** With ids of the largest size, a third of what DynamoDB takes in an item. */
export const MOST_ATTRIBUTIONS = 256;

const packedAttributions = z.array(
  z.tuple([z.string(), z.string().regex(/^[0-9a-f]{16}$/), z.number().nullable()]),
);

/** Attributions as JSON: per interaction the recommendation, the item's key in hex, and the reward. */
export function packAttributions(attributions: readonly Attribution[]): string {
  const rows: z.input<typeof packedAttributions> = attributions.map(
    ({ recommendationId, itemKey, reward }) => [
      recommendationId,
      itemKey.toString(16).padStart(16, '0'),
      reward,
    ],
  );
  return JSON.stringify(rows);
}

/** @throws SyntaxError, ZodError when the text is not what {@link packAttributions} made */
export function unpackAttributions(text: string): Attribution[] {
  return packedAttributions
    .parse(JSON.parse(text))
    .map(([recommendationId, key, reward]) => ({ recommendationId, itemKey: BigInt(`0x${key}`), reward }));
}

/** The context bucket of an adapter, such as `bayesian-r4-d64`. Never holds a user. */
export function cellOf(settings: { learner: string; rank: number; embeddingDim: number }): string {
  return `${settings.learner}-r${settings.rank}-d${settings.embeddingDim}`;
}

/** The 64 bits by which an item is known to item effects: the start of the SHA-256 of its id. */
export function itemKey(itemId: string): bigint {
  return createHash('sha256').update(itemId, 'utf8').digest().readBigUInt64BE();
}

const RESIDUAL_BYTES = 12;

/** Residuals as bytes: per item a little-endian 64-bit key and a float32. */
export function packResiduals(residuals: readonly ItemResidual[]): Uint8Array {
  const bytes = Buffer.alloc(residuals.length * RESIDUAL_BYTES);
  residuals.forEach(({ itemKey, residual }, i) => {
    bytes.writeBigUInt64LE(itemKey, i * RESIDUAL_BYTES);
    bytes.writeFloatLE(residual, i * RESIDUAL_BYTES + 8);
  });
  return bytes;
}

/** @throws RangeError when the length is not a multiple of 12 */
export function unpackResiduals(packed: Uint8Array): ItemResidual[] {
  if (packed.length % RESIDUAL_BYTES !== 0) {
    throw new RangeError(`${packed.length} bytes of residuals, expected a multiple of ${RESIDUAL_BYTES}`);
  }
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: bytes.length / RESIDUAL_BYTES }, (_, i) => ({
    itemKey: bytes.readBigUInt64LE(i * RESIDUAL_BYTES),
    residual: bytes.readFloatLE(i * RESIDUAL_BYTES + 8),
  }));
}

/** An embedding as bytes: little-endian float16. */
export function packEmbedding(embedding: Float16Array): Uint8Array {
  const bytes = new Uint8Array(embedding.length * 2);
  const view = new DataView(bytes.buffer);
  embedding.forEach((value, i) => {
    view.setFloat16(i * 2, value, true);
  });
  return bytes;
}

/** @throws RangeError when the length is odd */
export function unpackEmbedding(packed: Uint8Array): Float16Array {
  if (packed.length % 2 !== 0)
    throw new RangeError(`${packed.length} bytes of float16, expected an even number`);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  return Float16Array.from({ length: packed.length / 2 }, (_, i) => view.getFloat16(i * 2, true));
}
