import { createReadStream } from 'node:fs';
import { InvalidInputError, shown } from '../shared/errors.ts';
import { utf8 } from '../shared/utf8.ts';

/** Large enough for the ids of a million items. */
const MAX_HEADER_BYTES = 256 * 1024 * 1024;
const WIDTHS = { F32: 4, F16: 2, BF16: 2 } as const;
type Dtype = keyof typeof WIDTHS;

interface Header {
  /** Rows of the tensor `embeddings`. */
  readonly rows: number;
  readonly columns: number;
  readonly dtype: Dtype;
  /** Offset of the tensor in the file, in bytes. */
  readonly start: number;
  readonly ids: readonly string[];
  readonly attributes: readonly unknown[] | undefined;
}

/**
 * Reads items from a safetensors file, row by row: a tensor `embeddings` of F32, F16 or BF16, and
 * in the metadata `ids`, a JSON array with one string per row, and optionally `attributes`, one
 * with an object per row.
 * @throws InvalidInputError naming the fault of the file
 */
export async function* readTensorItems(
  file: string,
  signal: AbortSignal,
): AsyncGenerator<{ itemId: string; embedding: Float32Array; attributes?: unknown }> {
  const bytes = new ByteStream(createReadStream(file, { signal }), file);
  const header = await readHeader(bytes, file);
  await bytes.skip(header.start);
  const rowBytes = header.columns * WIDTHS[header.dtype];
  for (let row = 0; row < header.rows; row++) {
    const embedding = floatsOf(await bytes.take(rowBytes), header.dtype);
    const attributes = header.attributes?.[row];
    yield { itemId: header.ids[row]!, embedding, ...(attributes === undefined ? {} : { attributes }) };
  }
}

async function readHeader(bytes: ByteStream, file: string): Promise<Header> {
  const length = (await bytes.take(8)).readBigUInt64LE();
  if (length > MAX_HEADER_BYTES)
    throw new InvalidInputError(file, `a header of ${length} bytes`, 'a safetensors file');
  const header = parsed(utf8(await bytes.take(Number(length))), file, 'a safetensors file');
  const { __metadata__: metadata, embeddings } = Object(header) as Record<string, unknown>;
  const { dtype, shape, data_offsets: offsets } = Object(embeddings) as Record<string, unknown>;
  const [rows, columns] = Array.isArray(shape) && shape.length === 2 ? (shape as unknown[]) : [];
  const isTensor = isSize(rows) && isSize(columns) && typeof dtype === 'string' && dtype in WIDTHS;
  const [start, end] = Array.isArray(offsets) ? (offsets as unknown[]) : [];
  if (!isTensor || !isSize(start) || end !== start + rows * columns * WIDTHS[dtype as Dtype]) {
    const expected = 'a matrix of F32, F16 or BF16 with a row for each item';
    throw new InvalidInputError(`${file}, tensor embeddings`, shown(embeddings), expected);
  }
  const { ids, attributes } = Object(metadata) as Record<string, unknown>;
  return {
    ...{ rows, columns, dtype: dtype as Dtype, start },
    ids: listOf(ids, rows, `${file}, metadata ids`) as string[],
    attributes:
      attributes === undefined ? undefined : listOf(attributes, rows, `${file}, metadata attributes`),
  };
}

function listOf(text: unknown, rows: number, field: string): unknown[] {
  const expected = `a JSON array of ${rows}`;
  const list = parsed(typeof text === 'string' ? text : undefined, field, expected);
  if (Array.isArray(list) && list.length === rows) return list;
  throw new InvalidInputError(field, Array.isArray(list) ? `${list.length} entries` : shown(list), expected);
}

function parsed(text: string | undefined, field: string, expected: string): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (cause) {
    throw new InvalidInputError(field, text === undefined ? 'nothing' : shown(text), expected, { cause });
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function floatsOf(bytes: Buffer, dtype: Dtype): Float32Array {
  const { buffer } = new Uint8Array(bytes);
  if (dtype === 'F32') return new Float32Array(buffer);
  if (dtype === 'F16') return Float32Array.from(new Float16Array(buffer));
  // The upper half of a float32.
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (half) => half << 16).buffer);
}

/** Reads a stream in pieces of a given size. */
class ByteStream {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #file: string;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Buffer>, file: string) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#file = file;
  }

  /** @throws InvalidInputError when the file ends too early */
  async take(count: number): Promise<Buffer> {
    const pieces = [this.#rest];
    let length = this.#rest.length;
    while (length < count) {
      const next = await this.#next();
      pieces.push(next);
      length += next.length;
    }
    const bytes = pieces.length === 1 ? this.#rest : Buffer.concat(pieces, length);
    this.#rest = bytes.subarray(count);
    return bytes.subarray(0, count);
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      if (this.#rest.length === 0) this.#rest = await this.#next();
      const skipped = Math.min(left, this.#rest.length);
      this.#rest = this.#rest.subarray(skipped);
      left -= skipped;
    }
  }

  async #next(): Promise<Buffer> {
    const { value, done } = await this.#chunks.next();
    if (!done) return value;
    throw new InvalidInputError(
      this.#file,
      'a file that ends within the tensors',
      'a whole safetensors file',
    );
  }
}
