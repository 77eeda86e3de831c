import * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import { type Basis, features } from '../lora/basis.ts';
import { decodeDocument, encodeDocument, TensorReader } from '../storage/tensor-document.ts';

/**
 * The features ψ of a shard's items under one basis, without the offset, as 16-bit numbers. Every
 * column has its own scale, so that the error is at most 1/65,534 of the column's range: smaller
 * than that of float16 for the large numbers, which matter.
 */
export interface ShardFeatures {
  /** n×p, row by row. */
  readonly values: Int16Array;
  /** ψ[i][j] = values[i·p + j]·scales[j]; length p. */
  readonly scales: Float64Array;
}

const FORMAT = 'attune-catalogue-features';
const FORMAT_VERSION = 1;
const LARGEST = 32_767;
const content = z.strictObject({ shard: z.string(), basis: z.string() });

/** ψ of every row of `embeddings`. */
export function featuresOf(basis: Basis, embeddings: Float16Array): ShardFeatures {
  const { embeddingDim: d, projectionDim: p } = basis;
  const count = embeddings.length / d;
  const exact = new Float64Array(count * p);
  const psi = new Float64Array(p + 1);
  // Widening a row once is faster than reading float16 numbers one by one.
  const row = new Float64Array(d);
  for (let i = 0; i < count; i++) {
    row.set(embeddings.subarray(i * d, (i + 1) * d));
    features(basis, row, psi, 'float32');
    exact.set(psi.subarray(0, p), i * p);
  }
  return quantise(exact, p);
}

/** @param exact n×p */
export function quantise(exact: Float64Array, p: number): ShardFeatures {
  const scales = new Float64Array(p);
  for (let i = 0; i < exact.length; i++) scales[i % p] = Math.max(scales[i % p]!, Math.abs(exact[i]!));
  for (let j = 0; j < p; j++) scales[j]! /= LARGEST;
  const values = new Int16Array(exact.length);
  for (let i = 0; i < exact.length; i++) {
    const scale = scales[i % p]!;
    values[i] = scale === 0 ? 0 : Math.round(exact[i]! / scale);
  }
  return { values, scales };
}

export function encodeFeatures(shard: string, basis: string, { values, scales }: ShardFeatures): Uint8Array {
  const p = scales.length;
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: {
      features: { shape: [values.length / p, p], values },
      scales: { shape: [p], values: scales },
    },
    content: { shard, basis },
  });
}

/**
 * @throws CorruptObjectError when the bytes are not what {@link encodeFeatures} wrote for as many
 * items
 */
export function decodeFeatures(
  bytes: Uint8Array,
  expected: { readonly shard: string; readonly basis: string },
  items: number,
  p: number,
  key: string,
): ShardFeatures {
  const { tensors, content: found } = decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content);
  if (found.shard !== expected.shard || found.basis !== expected.basis) {
    const what = `features of shard ${found.shard} under basis ${found.basis}`;
    throw new CorruptObjectError(key, `found ${what}, expected those of the key`);
  }
  const reader = new TensorReader(tensors, key);
  return {
    values: reader.read('features', Int16Array, [items, p]),
    scales: reader.read('scales', Float64Array, [p]),
  };
}
