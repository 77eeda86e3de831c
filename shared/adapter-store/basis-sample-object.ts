import * as z from 'zod';
import { decodeDocument, encodeDocument, TensorReader } from './tensor-document.ts';

const FORMAT = 'attune-basis-sample';
const FORMAT_VERSION = 1;

const content = z.strictObject({ embeddingDim: z.int().min(1).max(4096), watermarks: z.array(z.string()) });

/** Item embeddings out of feedback, to make a basis of. It says nothing of who gave the feedback. */
export interface BasisSample {
  /** Of unit length, at least one. */
  readonly embeddings: readonly Float16Array[];
  /** Index position of the last episode whose embedding is in it, per shard: each is taken in once, whatever happens between. */
  readonly watermarks: readonly string[];
}

export function encodeBasisSample({ embeddings, watermarks }: BasisSample): Uint8Array {
  const embeddingDim = embeddings[0]!.length;
  const values = new Float16Array(embeddings.length * embeddingDim);
  embeddings.forEach((embedding, i) => {
    values.set(embedding, i * embeddingDim);
  });
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: { embeddings: { shape: [embeddings.length, embeddingDim], values } },
    content: { embeddingDim, watermarks: [...watermarks] } satisfies z.input<typeof content>,
  });
}

/** @throws CorruptObjectError when the bytes are not what {@link encodeBasisSample} wrote */
export function decodeBasisSample(bytes: Uint8Array, key: string): BasisSample {
  const { tensors, content: c } = decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content);
  const reader = new TensorReader(tensors, key);
  const { embeddingDim, watermarks } = c;
  const count = reader.rows('embeddings');
  const values = reader.read('embeddings', Float16Array, [count, embeddingDim]);
  return {
    embeddings: Array.from({ length: count }, (_, i) =>
      values.subarray(i * embeddingDim, (i + 1) * embeddingDim),
    ),
    watermarks,
  };
}
