import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { type EmbeddingKind, itemEmbeddings } from '../../cli/replay/datasets/item-embeddings.ts';
import type { Movie, RatingsData } from '../../cli/replay/datasets/ratings.ts';
import { InvalidInputError, NotFoundError, shown } from '../../shared/errors.ts';
import { readTensors, type Tensor } from '../../shared/storage/safetensors.ts';
import { utf8 } from '../../shared/utf8.ts';
import { checkedId } from '../../shared/validation/id.ts';

/** Item embeddings by id, or the kind to compute from the data set. */
export type Embeddings = EmbeddingKind | ReadonlyMap<string, Float32Array>;

const KINDS: readonly string[] = ['hybrid', 'content'] satisfies EmbeddingKind[];
const FILE = /\.(safetensors|npy)$/;
const MIN_DIM = 16;
const MAX_DIM = 4096;

/**
 * `--embeddings <kind or file>` of a benchmark. Its value is one that {@link embeddingsOf} takes.
 */
export function embeddingsOption(defaults: string): Option {
  return new Option(
    '--embeddings <kind or file>',
    `of the items: hybrid or content, made of the data set (${defaults}); or a file with a vector of ${MIN_DIM} to ${MAX_DIM} numbers for every item: ` +
      '<name>.safetensors with the tensor "embeddings" of shape [items, d] and the ids as a JSON array in the metadata entry "ids", or ' +
      '<name>.npy of shape [items, d] with one id per line in <name>.txt beside it. Nothing is written into docs/benchmarks for a file.',
  ).argParser((value) => {
    if (KINDS.includes(value) || FILE.test(value)) return value;
    throw new InvalidArgumentError('expected hybrid, content, or a file that ends in .safetensors or .npy.');
  });
}

/** Whether a value of `--embeddings` is a kind rather than a file. */
export function isKind(value: string): value is EmbeddingKind {
  return KINDS.includes(value);
}

/** The kind, or the name of the file without its folder, as the label of results. */
export function embeddingsName(value: string): string {
  return isKind(value) ? value : basename(value);
}

/**
 * Reads the embeddings that a value of `--embeddings` names. From a file it takes only the items of
 * the data set, in the order of the data set, so that candidates are the same as with embeddings of
 * a kind.
 * @throws NotFoundError when a file is missing; CorruptObjectError when it is no safetensors file;
 * InvalidInputError when its shape, its ids or its numbers are wrong, or an item of the data set
 * has no embedding
 */
export function embeddingsOf(value: string, data: RatingsData): Embeddings {
  if (isKind(value)) return value;
  const rows = value.endsWith('.npy') ? readNpy(value) : readSafetensors(value);
  const given = byId(rows, value);
  const missing = itemIdsOf(data).filter((id) => !given.has(id));
  if (missing.length > 0) {
    const count = missing.length === 1 ? 'no embedding' : `no embeddings of ${missing.length} items, first`;
    throw new InvalidInputError(
      value,
      `${count} of item ${shown(missing[0])}`,
      'an embedding for every item of the data set',
    );
  }
  return new Map(itemIdsOf(data).map((id) => [id, given.get(id)!]));
}

/** Embeddings as given, or computed from the users who are not online. */
export function itemsOf(
  { movies, ratings, tags }: RatingsData,
  { embeddings, online, seed }: { embeddings: Embeddings; online: ReadonlySet<string>; seed: number },
): ReadonlyMap<string, Float32Array> {
  if (typeof embeddings !== 'string') return embeddings;
  const isKnown = ({ userId }: { userId: string }) => !online.has(userId);
  const catalogue = new Map<string, Movie>(movies);
  for (const { itemId } of ratings)
    if (!catalogue.has(itemId)) catalogue.set(itemId, { title: '', genres: [] });
  return itemEmbeddings(
    { movies: catalogue, ratings: ratings.filter(isKnown), tags: tags.filter(isKnown) },
    { kind: embeddings, seed },
  );
}

function itemIdsOf({ movies, ratings }: RatingsData): string[] {
  return [...new Set([...movies.keys(), ...ratings.map(({ itemId }) => itemId)])];
}

interface Rows {
  readonly shape: readonly number[];
  /** Row by row. */
  readonly values: Tensor;
  readonly ids: readonly unknown[];
  /** Name of the source of the ids, for error messages. */
  readonly idsAt: string;
}

function byId({ shape, values, ids, idsAt }: Rows, path: string): Map<string, Float32Array> {
  const [items, dim] = shape as [number, number];
  if (shape.length !== 2 || items < 1 || dim < MIN_DIM || dim > MAX_DIM) {
    throw new InvalidInputError(
      `${path}: shape`,
      `[${shape.join(', ')}]`,
      `[items, d] with d from ${MIN_DIM} to ${MAX_DIM}`,
    );
  }
  if (ids.length !== items)
    throw new InvalidInputError(idsAt, `${ids.length} ids`, `${items}, as ${path} has rows`);
  const found = new Map<string, Float32Array>();
  for (const [row, value] of ids.entries()) {
    const id = checkedId(value, `${idsAt}, id ${row + 1}`);
    if (found.has(id)) throw new InvalidInputError(`${idsAt}, id ${row + 1}`, shown(id), 'every id once');
    const embedding = Float32Array.from(values.subarray(row * dim, (row + 1) * dim) as Float32Array);
    const wrong = embedding.findIndex((number) => !Number.isFinite(number));
    if (wrong >= 0) {
      throw new InvalidInputError(
        `${path}, item ${shown(id)}, number ${wrong + 1}`,
        String(embedding[wrong]),
        'a finite number',
      );
    }
    found.set(id, embedding);
  }
  return found;
}

function readSafetensors(path: string): Rows {
  const { tensors, metadata } = readTensors(contentOf(path), path);
  const tensor = tensors.embeddings;
  if (tensor === undefined) {
    const names = Object.keys(tensors).join(', ') || 'none';
    throw new InvalidInputError(`${path}: tensors`, names, 'the tensor embeddings');
  }
  const { shape, values } = tensor;
  if (!(values instanceof Float64Array || values instanceof Float32Array || values instanceof Float16Array)) {
    throw new InvalidInputError(
      `${path}: dtype of embeddings`,
      values.constructor.name,
      'F64, F32, F16 or BF16',
    );
  }
  return { shape, values, ids: idsOf(metadata.ids, path), idsAt: `${path}: metadata ids` };
}

function idsOf(text: string | undefined, path: string): unknown[] {
  try {
    const ids: unknown = JSON.parse(text ?? 'null');
    if (Array.isArray(ids)) return ids;
  } catch {
    // Told below.
  }
  throw new InvalidInputError(`${path}: metadata ids`, shown(text), 'a JSON array of the ids, row by row');
}

const NPY_TYPES = { '<f8': Float64Array, '<f4': Float32Array, '<f2': Float16Array } as const;
/** The form that numpy.save writes: its keys are sorted. */
const NPY_HEADER = /^\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), *\}\s*$/;

/** The format of numpy.lib.format, versions 1 to 3. */
function readNpy(path: string): Rows {
  const file = contentOf(path);
  const wrong = (what: string, found: string, expected: string) =>
    new InvalidInputError(`${path}: ${what}`, found, expected);
  if (file.length < 12 || file.toString('latin1', 0, 6) !== '\x93NUMPY')
    throw wrong('start of the file', shown(file.toString('latin1', 0, 6)), 'a .npy file of numpy.save');
  const headerAt = file[6] === 1 ? 10 : 12;
  const start = headerAt + (file[6] === 1 ? file.readUInt16LE(8) : file.readUInt32LE(8));
  const text = file.toString('latin1', headerAt, start);
  const [, type = '', fortran, sizes = ''] = NPY_HEADER.exec(text) ?? [];
  const View = NPY_TYPES[type as keyof typeof NPY_TYPES];
  if (View === undefined || fortran !== 'False')
    throw wrong('header', shown(text.trim()), `float64, float32 or float16, row by row`);
  const shape = sizes
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  const length = shape.reduce((product, size) => product * size, 1);
  const bytes = length * View.BYTES_PER_ELEMENT;
  if (file.length - start !== bytes)
    throw wrong('numbers', `${file.length - start} bytes`, `${bytes} of shape [${shape.join(', ')}]`);
  const values = new View(Uint8Array.from(file.subarray(start)).buffer);
  const idsAt = path.replace(FILE, '.txt');
  const lines = utf8(contentOf(idsAt))?.split(/\r?\n/);
  if (lines === undefined) throw new InvalidInputError(idsAt, 'bytes that are not UTF-8', 'UTF-8');
  if (lines.at(-1) === '') lines.pop();
  return { shape, values, ids: lines, idsAt };
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
      throw new NotFoundError(`no file ${path}: --embeddings needs it`, { cause });
    throw new InvalidInputError(path, String(cause), 'a file that can be read', { cause });
  }
}
