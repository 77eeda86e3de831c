import * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import { type Basis, createBasis } from '../lora/basis.ts';
import { decodeDocument, encodeDocument, TensorReader } from './tensor-document.ts';

const FORMAT = 'attune-basis';
const FORMAT_VERSION = 1;

const content = z.strictObject({
  id: z.string(),
  embeddingModel: z.string(),
  embeddingDim: z.int().min(1).max(4096),
  rank: z.int().min(1).max(64),
  scale: z.number().positive(),
  projectionDim: z.int().min(1),
});

/** The basis that new and updated adapters use. */
export interface StoredBasis {
  readonly basis: Basis;
  readonly embeddingModel: string;
}

export function encodeBasis({ basis, embeddingModel }: StoredBasis): Uint8Array {
  const { id, embeddingDim, rank, scale, a, projection, projectionDim } = basis;
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: {
      lora_A: { shape: [rank, embeddingDim], values: a },
      projection: { shape: [embeddingDim * rank, projectionDim], values: projection },
    },
    content: { id, embeddingModel, embeddingDim, rank, scale, projectionDim } satisfies z.input<
      typeof content
    >,
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
  });
  if (basis.id !== c.id) throw new CorruptObjectError(key, `content of basis ${basis.id}, expected ${c.id}`);
  return { basis, embeddingModel: c.embeddingModel };
}
