import { InvalidInputError, shown } from '../errors.ts';

/** An embedding in JSON: base64 of little-endian float32, or plain numbers. */
export type EmbeddingInput = string | readonly number[] | Float32Array;

/** Why an embedding is invalid. */
export type EmbeddingFault = 'schema' | 'dimension' | 'not-finite';

/** Embedding lengths that Attune supports. */
const EMBEDDING_DIMS = { minimum: 16, maximum: 4096 } as const;

/**
 * An embedding that is not base64 of float32, has the wrong length, or holds a number that is not
 * finite.
 */
export class InvalidEmbeddingError extends InvalidInputError {
  readonly reason: EmbeddingFault;

  constructor(field: string, found: string, expected: string, reason: EmbeddingFault) {
    super(field, found, expected);
    this.reason = reason;
  }
}

/**
 * Base64 of the values as little-endian float32: 4 times smaller than a JSON array and 10 times
 * faster to read. Rounds to float32 and validates nothing.
 */
export function encodeEmbedding(values: ArrayLike<number>): string {
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  // Float32Array has the byte order of the machine, which is little-endian wherever Lambda runs.
  return Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength).toString('base64');
}

/**
 * Decodes an embedding into a new Float32Array.
 *
 * @param value base64 (canonical: standard alphabet, padded, nothing else) or an array of numbers
 * @param dim the expected length, or undefined for any supported length
 * @param field path of the embedding, for the error
 * @throws InvalidEmbeddingError
 */
export function decodeEmbedding(value: EmbeddingInput, dim: number | undefined, field: string): Float32Array {
  const embedding =
    typeof value === 'string' ? fromBase64(value, dim, field) : fromNumbers(value, dim, field);
  for (let i = 0; i < embedding.length; i++) {
    if (Number.isFinite(embedding[i])) continue;
    const found = typeof value === 'string' ? embedding[i] : value[i];
    throw new InvalidEmbeddingError(`${field}[${i}]`, shown(found), 'a finite float32', 'not-finite');
  }
  return embedding;
}

function fromBase64(text: string, dim: number | undefined, field: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  // Buffer skips characters that are not base64; only canonical text encodes back to itself.
  if (bytes.toString('base64') !== text) {
    throw new InvalidEmbeddingError(field, shown(text), 'base64 of little-endian float32', 'schema');
  }
  if (bytes.length % 4 !== 0) {
    throw new InvalidEmbeddingError(
      field,
      `${bytes.length} bytes`,
      `${expectedLength(dim)} of 4 bytes`,
      'dimension',
    );
  }
  requireLength(bytes.length / 4, dim, field);
  // A copy, because Buffer's memory is shared and not always aligned to 4 bytes.
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

function fromNumbers(
  values: readonly number[] | Float32Array,
  dim: number | undefined,
  field: string,
): Float32Array {
  requireLength(values.length, dim, field);
  for (let i = 0; i < values.length; i++) {
    const value: unknown = values[i];
    if (typeof value !== 'number') {
      throw new InvalidEmbeddingError(`${field}[${i}]`, shown(value), 'a number', 'schema');
    }
  }
  return Float32Array.from(values);
}

function requireLength(length: number, dim: number | undefined, field: string): void {
  const { minimum, maximum } = EMBEDDING_DIMS;
  if (dim === undefined ? length >= minimum && length <= maximum : length === dim) return;
  throw new InvalidEmbeddingError(field, `${length} numbers`, expectedLength(dim), 'dimension');
}

function expectedLength(dim: number | undefined): string {
  return dim === undefined
    ? `${EMBEDDING_DIMS.minimum} to ${EMBEDDING_DIMS.maximum} numbers`
    : `${dim} numbers`;
}
