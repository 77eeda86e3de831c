import type * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import { parseStored } from '../validation/faults.ts';
import {
  decodeTensors,
  encodeTensors,
  type NamedTensor,
  type Tensor,
  type TensorFile,
} from './safetensors.ts';

/**
 * Attune's objects in S3 are safetensors files. Their metadata names the format (`format`,
 * `formatVersion`) and holds everything that is not a tensor as one JSON text (`attune`).
 */
export interface TensorDocument<T> {
  readonly tensors: Readonly<Record<string, NamedTensor>>;
  readonly content: T;
}

export function encodeDocument(
  format: string,
  version: number,
  { tensors, content }: TensorDocument<unknown>,
): Uint8Array {
  return encodeTensors({
    tensors,
    metadata: { format, formatVersion: String(version), attune: JSON.stringify(content) },
  });
}

/**
 * @param source the bytes, or the file that was decoded from them
 * @param key names the object in errors
 * @throws CorruptObjectError when the file has another format or version, or its content does not
 * fit the schema
 */
export function decodeDocument<T>(
  source: Uint8Array | TensorFile,
  key: string,
  format: string,
  version: number,
  schema: z.ZodType<T>,
): TensorDocument<T> {
  const { tensors, metadata } = source instanceof Uint8Array ? decodeTensors(source, key) : source;
  if (metadata.format !== format || metadata.formatVersion !== String(version)) {
    const found = `${metadata.format ?? 'no format'} version ${metadata.formatVersion ?? 'unknown'}`;
    throw new CorruptObjectError(key, `found ${found}, expected ${format} version ${version}`);
  }
  let content: unknown;
  try {
    content = JSON.parse(metadata.attune ?? '');
  } catch (cause) {
    throw new CorruptObjectError(key, 'metadata entry attune: found text that is not JSON, expected JSON', {
      cause,
    });
  }
  return { tensors, content: parseStored(schema, content, key) };
}

/** Reads tensors of a document and checks type, shape, and that every number is finite. */
export class TensorReader {
  readonly #tensors: Readonly<Record<string, NamedTensor>>;
  readonly #key: string;

  constructor(tensors: Readonly<Record<string, NamedTensor>>, key: string) {
    this.#tensors = tensors;
    this.#key = key;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#tensors, name);
  }

  /**
   * @throws CorruptObjectError when the tensor is missing, of another type or shape, or holds a
   * number that is not finite
   */
  read<T extends Tensor>(
    name: string,
    type: abstract new (...args: never[]) => T,
    shape: readonly number[],
  ): T {
    const tensor = this.has(name) ? this.#tensors[name] : undefined;
    if (tensor === undefined)
      throw new CorruptObjectError(this.#key, `tensor ${name}: found nothing, expected a tensor`);
    if (!(tensor.values instanceof type) || tensor.shape.join() !== shape.join()) {
      const found = `${tensor.values.constructor.name} [${tensor.shape.join(', ')}]`;
      throw new CorruptObjectError(
        this.#key,
        `tensor ${name}: found ${found}, expected ${type.name} [${shape.join(', ')}]`,
      );
    }
    if (!isFiniteThroughout(tensor.values)) {
      throw new CorruptObjectError(
        this.#key,
        `tensor ${name}: found a number that is not finite, expected finite numbers`,
      );
    }
    return tensor.values;
  }

  /** First dimension of a tensor; 0 when it is missing. */
  rows(name: string): number {
    return this.#size(name, 0);
  }

  /** Second dimension of a tensor; 0 when it is missing. */
  columns(name: string): number {
    return this.#size(name, 1);
  }

  #size(name: string, dimension: number): number {
    return (this.has(name) ? this.#tensors[name]?.shape[dimension] : undefined) ?? 0;
  }
}

/** Faster than `every(Number.isFinite)`, which counts for embeddings of a catalogue. */
function isFiniteThroughout(values: Tensor): boolean {
  if (values instanceof Float16Array) {
    // Node reads single float16 numbers slowly. Infinity and NaN have all bits of the exponent.
    const bits = new Uint16Array(values.buffer, values.byteOffset, values.length);
    for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7c00) === 0x7c00) return false;
  } else if (values instanceof Float32Array || values instanceof Float64Array) {
    for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  }
  return true;
}

/** Vectors of one length as the rows of a float16 tensor; at least one. */
export function stackHalves(vectors: readonly Float16Array[]): NamedTensor {
  const width = vectors[0]!.length;
  const values = new Float16Array(vectors.length * width);
  vectors.forEach((vector, i) => {
    values.set(vector, i * width);
  });
  return { shape: [vectors.length, width], values };
}

/**
 * The rows of a float16 tensor.
 * @throws CorruptObjectError as {@link TensorReader.read} does
 */
export function readHalves(reader: TensorReader, name: string): Float16Array[] {
  const [count, width] = [reader.rows(name), reader.columns(name)];
  const values = reader.read(name, Float16Array, [count, width]);
  return Array.from({ length: count }, (_, i) => values.slice(i * width, (i + 1) * width));
}
