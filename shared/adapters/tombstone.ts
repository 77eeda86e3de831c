import * as z from 'zod';
import type { TensorFile } from '../storage/safetensors.ts';
import { decodeDocument, encodeDocument } from '../storage/tensor-document.ts';

/**
 * Replaces the adapter of a forgotten user at its key, where every commit finds it, so that late
 * events cannot bring the user back. After it has expired, an event starts a new adapter.
 */
export interface Tombstone {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /** Epoch milliseconds. */
  readonly forgottenAt: number;
  readonly expiresAt: number;
}

/**
 * A message lives four days in the feedback queue and fourteen days in its dead-letter queue; see
 * infra/feedback-queue.ts.
 */
export const TOMBSTONE_DAYS = 18;

const FORMAT = 'attune-tombstone';
const FORMAT_VERSION = 1;

const content = z.strictObject({
  userKey: z.string().regex(/^[0-9a-f]{64}$/),
  forgottenAt: z.int().min(0),
  expiresAt: z.int().min(0),
});

export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  return encodeDocument(FORMAT, FORMAT_VERSION, { tensors: {}, content: tombstone });
}

export function isTombstone({ metadata }: TensorFile): boolean {
  return metadata.format === FORMAT;
}

/** @throws CorruptObjectError */
export function decodeTombstone(file: TensorFile, key: string): Tombstone {
  return decodeDocument(file, key, FORMAT, FORMAT_VERSION, content).content;
}
