import * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import { type Basis, createBasis } from '../lora/basis.ts';
import type { CarryOver } from '../lora/carry-over.ts';
import type { NamedTensor } from '../storage/safetensors.ts';
import { decodeDocument, encodeDocument, TensorReader } from '../storage/tensor-document.ts';
import { momentsTensors, readMoments } from './feature-moments-tensors.ts';

const FORMAT = 'attune-basis';
const FORMAT_VERSION = 1;

const content = z.strictObject({
  id: z.string(),
  embeddingModel: z.string(),
  embeddingDim: z.int().min(1).max(4096),
  rank: z.int().min(1).max(64),
  scale: z.number().positive(),
  projectionDim: z.int().min(1),
  learnedFrom: z.int().min(1).optional(),
  /** Missing in a basis of an earlier version. */
  carryOvers: z
    .array(z.strictObject({ fromBasisId: z.string(), loss: z.number().min(0).max(1) }))
    .default([]),
});

/** The basis that new and updated adapters use. */
export interface StoredBasis {
  readonly basis: Basis;
  readonly embeddingModel: string;
  /**
   * Number of embeddings from feedback that the basis was learned from. Undefined for a basis of a
   * catalogue, which is never replaced by a learned one.
   */
  readonly learnedFrom?: number | undefined;
  /** Maps from earlier bases, newest first. Default none. */
  readonly carryOvers?: readonly CarryOver[];
}

export function encodeBasis({
  basis,
  embeddingModel,
  learnedFrom,
  carryOvers = [],
}: StoredBasis): Uint8Array {
  const { id, embeddingDim, rank, scale, a, projection, projectionDim, moments } = basis;
  const maps = carryOvers.flatMap(({ featureMap, latentMap }, i): [string, NamedTensor][] => [
    [`carry_over.${i}.features`, stack(featureMap)],
    [`carry_over.${i}.latent`, stack(latentMap)],
  ]);
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: {
      lora_A: { shape: [rank, embeddingDim], values: a },
      projection: { shape: [embeddingDim * rank, projectionDim], values: projection },
      ...Object.fromEntries(maps),
      // Earlier versions ignore tensors that they do not know.
      ...(moments === undefined ? {} : momentsTensors('moments', moments)),
    },
    content: {
      id,
      embeddingModel,
      embeddingDim,
      rank,
      scale,
      projectionDim,
      ...(learnedFrom === undefined ? {} : { learnedFrom }),
      carryOvers: carryOvers.map(({ fromBasisId, loss }) => ({ fromBasisId, loss })),
    } satisfies z.input<typeof content>,
  });
}

/** @throws CorruptObjectError when the bytes are not what {@link encodeBasis} wrote */
export function decodeBasis(bytes: Uint8Array, key: string): StoredBasis {
  const { tensors, content: c } = decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content);
  const reader = new TensorReader(tensors, key);
  const basis = createBasis({
    embeddingDim: c.embeddingDim,
    rank: c.rank,
    scale: c.scale,
    a: reader.read('lora_A', Float32Array, [c.rank, c.embeddingDim]),
    projection: reader.read('projection', Float32Array, [c.embeddingDim * c.rank, c.projectionDim]),
    moments: readMoments(reader, 'moments', c.projectionDim),
  });
  if (basis.id !== c.id)
    throw new CorruptObjectError(key, `found the content of basis ${basis.id}, expected ${c.id}`);
  return {
    basis,
    embeddingModel: c.embeddingModel,
    ...(c.learnedFrom === undefined ? {} : { learnedFrom: c.learnedFrom }),
    carryOvers: c.carryOvers.map((carryOver, i) => ({
      ...carryOver,
      featureMap: readRows(reader, `carry_over.${i}.features`, c.projectionDim + 1),
      latentMap: readRows(reader, `carry_over.${i}.latent`, c.rank),
    })),
  };
}

function stack(rows: readonly Float64Array[]): NamedTensor {
  return {
    shape: [rows.length, rows[0]!.length],
    values: Float64Array.from(rows.flatMap((row) => [...row])),
  };
}

function readRows(reader: TensorReader, name: string, count: number): Float64Array[] {
  const columns = reader.columns(name);
  const values = reader.read(name, Float64Array, [count, columns]);
  return Array.from({ length: count }, (_, i) => values.subarray(i * columns, (i + 1) * columns));
}
