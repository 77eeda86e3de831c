import * as z from 'zod';
import {
  decodeDocument,
  encodeDocument,
  readHalves,
  stackHalves,
  TensorReader,
} from '../storage/tensor-document.ts';

const FORMAT = 'attune-basis-sample';
const FORMAT_VERSION = 1;

const content = z.strictObject({ watermarks: z.array(z.string()) });

/** Item embeddings from feedback, to learn a basis from. They do not identify the users. */
export interface BasisSample {
  /** Of unit length, at least one. */
  readonly embeddings: readonly Float16Array[];
  /**
   * Index position of the last episode in the sample, per shard, so that each episode is added
   * once.
   */
  readonly watermarks: readonly string[];
}

export function encodeBasisSample({ embeddings, watermarks }: BasisSample): Uint8Array {
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: { embeddings: stackHalves(embeddings) },
    content: { watermarks: [...watermarks] } satisfies z.input<typeof content>,
  });
}

/** @throws CorruptObjectError when the bytes are not what {@link encodeBasisSample} wrote */
export function decodeBasisSample(bytes: Uint8Array, key: string): BasisSample {
  const { tensors, content: c } = decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content);
  return { embeddings: readHalves(new TensorReader(tensors, key), 'embeddings'), watermarks: c.watermarks };
}
