import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { AdaptationContext } from './adaptation-context.ts';

/** The record of one update of one user's adapter in the ReasoningBank. */
export interface Episode {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /**
   * Version of the adapter after the update; together with the user it identifies the episode. 0 in
   * a report without a version.
   */
  readonly version: number;
  /** The cell, which makes episodes comparable; see {@link cellOf}. */
  readonly cell: string;
  /** Time of the commit, epoch milliseconds. */
  readonly committedAt: number;
  readonly context: {
    /** Feedback events in this update. */
    readonly events: number;
    /** Interactions in this update. */
    readonly interactions: number;
    /** Rewards that the adapter had learned before this update. */
    readonly samplesSeen: number;
    /** Version of the population model that the update was solved with; 0 before the first. */
    readonly skillsVersion: number;
  };
  readonly outcome: Outcome;
  /** Residual of each interaction with an item id, in order; for learning item effects. */
  readonly residuals: readonly ItemResidual[];
  /** Residuals of earlier updates that later rewards of the same interactions replaced. */
  readonly corrections?: readonly ItemCorrection[] | undefined;
  /**
   * Interactions with items that a recommendation had shown, when feedback names the
   * recommendation; the newest 256.
   */
  readonly attributions?: readonly Attribution[] | undefined;
  /** Embeddings of some items, for the basis; few episodes have any, see embedding-sample.ts. */
  readonly embeddings?: readonly Float16Array[] | undefined;
  /** The hyperparameters of the learner. */
  readonly hyperparameters?: Readonly<Record<string, number>> | undefined;
  /** True when the user was served without adapter; absent otherwise. */
  readonly heldOut?: true | undefined;
  /** The report, when the episode came through `storePattern`. The update path writes none. */
  readonly report?: Report;
}

/** An episode as reported to the bank; see `NewPattern`. */
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

/**
 * Test-then-train: every reward is predicted before it is learned. Losses are mean squared errors.
 */
export interface Outcome {
  /**
   * Number of predicted rewards; 0 when the update had only target embeddings, and then all losses
   * are 0.
   */
  readonly rewards: number;
  readonly meanReward: number;
  readonly loss: number;
  /** Loss of the user's shrunken mean reward: the loss without an adapter. */
  readonly lossWithoutAdapter: number;
  /** Loss of the warm start alone. */
  readonly lossOfWarmStart: number;
  /**
   * Effect of the user's taste on the prediction; only of the learner 'sgd', to compare learning
   * rates.
   */
  readonly taste?: TasteOutcome | undefined;
}

export interface TasteOutcome {
  /** Loss of the user's mean with item effects. */
  readonly lossWithout: number;
  /** Mean square of the taste's part of the prediction. */
  readonly meanSquare: number;
}

export interface ItemResidual {
  readonly itemKey: bigint;
  /** float32. */
  readonly residual: number;
}

/** A residual of an earlier update, and the one that replaces it. */
export interface ItemCorrection {
  readonly itemKey: bigint;
  /** float32, as the next. */
  readonly from: number;
  readonly to: number;
}

/** An interaction with an item that a recommendation had shown. */
export interface Attribution {
  readonly recommendationId: string;
  readonly itemKey: bigint;
  /** Null when the interaction had a target embedding. */
  readonly reward: number | null;
}

/** With ids of the largest size, a third of DynamoDB's item limit. */
export const MOST_ATTRIBUTIONS = 256;

const packedAttributions = z.array(
  z.tuple([z.string(), z.string().regex(/^[0-9a-f]{16}$/), z.number().nullable()]),
);

/**
 * Attributions as JSON: per interaction the recommendation, the item's key in hex, and the reward.
 */
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

/** @throws SyntaxError, ZodError when the text is not a result of {@link packAttributions} */
export function unpackAttributions(text: string): Attribution[] {
  return packedAttributions
    .parse(JSON.parse(text))
    .map(([recommendationId, key, reward]) => ({ recommendationId, itemKey: BigInt(`0x${key}`), reward }));
}

/** The cell of an adapter, such as `bayesian-r4-d64`. Never names a user. */
export function cellOf(settings: { learner: string; rank: number; embeddingDim: number }): string {
  return `${settings.learner}-r${settings.rank}-d${settings.embeddingDim}`;
}

/** The 64-bit key of an item in item effects: the start of the SHA-256 of its id. */
export function itemKey(itemId: string): bigint {
  return createHash('sha256').update(itemId, 'utf8').digest().readBigUInt64BE();
}

/** Residuals as bytes: per item a little-endian 64-bit key and a float32. */
export function packResiduals(residuals: readonly ItemResidual[]): Uint8Array {
  return packRows(residuals.map(({ itemKey, residual }) => [itemKey, residual]));
}

/** @throws RangeError when the length is not a multiple of 12 */
export function unpackResiduals(packed: Uint8Array): ItemResidual[] {
  return unpackRows('residuals', packed, 1).map(([itemKey, residual]) => ({ itemKey, residual: residual! }));
}

/** Corrections as bytes: per item a little-endian 64-bit key and two float32. */
export function packCorrections(corrections: readonly ItemCorrection[]): Uint8Array {
  return packRows(corrections.map(({ itemKey, from, to }) => [itemKey, from, to]));
}

/** @throws RangeError when the length is not a multiple of 16 */
export function unpackCorrections(packed: Uint8Array): ItemCorrection[] {
  return unpackRows('corrections', packed, 2).map(([itemKey, from, to]) => ({
    itemKey,
    from: from!,
    to: to!,
  }));
}

/** An item's key, and numbers. */
type Row = readonly [itemKey: bigint, ...numbers: number[]];

function packRows(rows: readonly Row[]): Uint8Array {
  const width = 8 + 4 * ((rows[0]?.length ?? 1) - 1);
  const bytes = Buffer.alloc(rows.length * width);
  rows.forEach(([key, ...numbers], i) => {
    bytes.writeBigUInt64LE(key, i * width);
    numbers.forEach((number, j) => void bytes.writeFloatLE(number, i * width + 8 + 4 * j));
  });
  return bytes;
}

/** @throws RangeError when the length is not a multiple of a row's */
function unpackRows(name: string, packed: Uint8Array, numbers: number): Row[] {
  const width = 8 + 4 * numbers;
  if (packed.length % width !== 0)
    throw new RangeError(`${name}: found ${packed.length} bytes, expected a multiple of ${width}`);
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: bytes.length / width }, (_, i) => [
    bytes.readBigUInt64LE(i * width),
    ...Array.from({ length: numbers }, (_, j) => bytes.readFloatLE(i * width + 8 + 4 * j)),
  ]);
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
    throw new RangeError(`float16: found ${packed.length} bytes, expected an even number`);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  return Float16Array.from({ length: packed.length / 2 }, (_, i) => view.getFloat16(i * 2, true));
}
