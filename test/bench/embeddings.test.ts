import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import type { RatingsData } from '../../cli/replay/datasets/ratings.ts';
import { CorruptObjectError, InvalidInputError, NotFoundError } from '../../shared/errors.ts';
import { layOutTensors, type Tensor } from '../../shared/storage/safetensors.ts';
import { embeddingsName, embeddingsOf, embeddingsOption, itemsOf } from './embeddings.ts';

const folder = mkdtempSync(join(tmpdir(), 'embeddings-'));
afterAll(() => rmSync(folder, { recursive: true }));

const data: RatingsData = {
  movies: new Map([
    ['b', { title: 'B', genres: ['Drama'] }],
    ['a', { title: 'A', genres: ['Comedy'] }],
  ]),
  ratings: [{ userId: 'u', itemId: 'c', rating: 4, timestamp: 1 }],
  tags: [],
};
const D = 16;
/** Row by row, n·D numbers that float16 holds exactly. */
const numbers = (items: number) => Array.from({ length: items * D }, (_, i) => i / 4);
const vector = (row: number) => Float32Array.from({ length: D }, (_, i) => (row * D + i) / 4);

interface Given {
  readonly ids?: unknown;
  readonly values?: Tensor;
  readonly shape?: readonly number[];
  readonly tensor?: string;
}

function safetensors(name: string, { ids = ['x', 'c', 'a', 'b'], values, shape, tensor }: Given = {}) {
  const path = join(folder, `${name}.safetensors`);
  const metadata = ids === undefined ? {} : { ids: typeof ids === 'string' ? ids : JSON.stringify(ids) };
  const embeddings = { shape: shape ?? [4, D], values: values ?? Float32Array.from(numbers(4)) };
  writeFileSync(path, layOutTensors({ tensors: { [tensor ?? 'embeddings']: embeddings }, metadata }));
  return path;
}

/** A file as numpy.save writes it, version 1. */
function npy(name: string, descr: string, values: Tensor, { shape = `4, ${D}`, order = 'False' } = {}) {
  const path = join(folder, `${name}.npy`);
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;
  const padded = `${header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11)}\n`;
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  start.writeUInt16LE(padded.length, 8);
  writeFileSync(path, Buffer.concat([start, Buffer.from(padded, 'latin1'), Buffer.from(values.buffer)]));
  return path;
}
function npyWithIds(name: string, ids = 'x\nc\na\nb\n') {
  writeFileSync(join(folder, `${name}.txt`), ids);
  return npy(name, '<f4', Float32Array.from(numbers(4)));
}

const expected = [
  ['b', vector(3)],
  ['a', vector(2)],
  ['c', vector(1)],
];
const read = (path: string) => [...(embeddingsOf(path, data) as ReadonlyMap<string, Float32Array>)];

describe('Item embeddings of a file', () => {
  it('are those of the items of the data set, in its order, even if the file contains other items', () => {
    expect(read(safetensors('whole'))).toEqual(expected);
    expect(read(npyWithIds('whole'))).toEqual(expected);
  });

  it('may be float64 or float16, and ids may end with CRLF', () => {
    expect(read(safetensors('f64', { values: Float64Array.from(numbers(4)) }))).toEqual(expected);
    expect(read(safetensors('f16', { values: Float16Array.from(numbers(4)) }))).toEqual(expected);
    writeFileSync(join(folder, 'f64.txt'), 'x\r\nc\r\na\r\nb');
    expect(read(npy('f64', '<f8', Float64Array.from(numbers(4))))).toEqual(expected);
    writeFileSync(join(folder, 'f16.txt'), 'x\nc\na\nb');
    expect(read(npy('f16', '<f2', Float16Array.from(numbers(4))))).toEqual(expected);
  });

  it('must cover every item of the data set: the error names the first without', () => {
    expect(() => read(safetensors('one', { ids: ['x', 'y', 'a', 'b'] }))).toThrow(
      /one\.safetensors: found no embedding of item "c", expected an embedding for every item of the data set/,
    );
    expect(() => read(npyWithIds('two', 'x\ny\na\nz\n'))).toThrow(
      'no embeddings of 2 items, first of item "b"',
    );
  });

  it.each([
    ['one row of numbers', [64], 'shape: found [64], expected [items, d] with d from 16 to 4096'],
    ['vectors of 8 numbers', [8, 8], 'shape: found [8, 8], expected [items, d] with d from 16 to 4096'],
    ['three dimensions', [2, 2, 16], 'shape: found [2, 2, 16], expected [items, d]'],
    ['more rows than ids', [2, 32], 'metadata ids: found 4 ids, expected 2, as'],
  ])('with %s are refused', (name, shape, message) => {
    expect(() => read(safetensors(name.replaceAll(' ', '-'), { shape }))).toThrow(message);
  });

  it.each<[string, Given, string]>([
    [
      'a tensor of another name',
      { tensor: 'weight' },
      'tensors: found weight, expected the tensor embeddings',
    ],
    [
      'whole numbers',
      { values: new Uint8Array(4 * D) },
      'dtype of embeddings: found Uint8Array, expected F64',
    ],
    ['ids that are no JSON', { ids: 'x,c,a,b' }, 'metadata ids: found "x,c,a,b", expected a JSON array'],
    ['ids that are numbers', { ids: [1, 2, 3, 4] }, 'metadata ids, id 1: found 1, expected 1 to 128'],
    ['an id twice', { ids: ['x', 'c', 'x', 'b'] }, 'metadata ids, id 3: found "x", expected every id once'],
    [
      'a number that is not finite',
      { values: Float32Array.from(numbers(4)).fill(Number.NaN, 20, 21) },
      'item "c", number 5: found NaN, expected a finite number',
    ],
  ])('of a safetensors file with %s are refused', (name, given, message) => {
    const path = safetensors(name.replaceAll(' ', '-'), given);
    expect(() => read(path)).toThrow(InvalidInputError);
    expect(() => read(path)).toThrow(message);
  });

  it('of a .npy file in another form are refused', () => {
    const floats = Float32Array.from(numbers(4));
    expect(() => read(npy('columns', '<f4', floats, { order: 'True' }))).toThrow(
      'expected float64, float32 or float16, row by row',
    );
    expect(() => read(npy('integers', '<i4', floats))).toThrow('header: found');
    expect(() => read(npy('short', '<f4', floats, { shape: `5, ${D}` }))).toThrow(
      'numbers: found 256 bytes, expected 320 of shape [5, 16]',
    );
    const path = join(folder, 'text.npy');
    writeFileSync(path, 'a,b,c and more');
    expect(() => read(path)).toThrow('start of the file: found "a,b,c ", expected a .npy file of numpy.save');
  });

  it('need their file, and .npy the text file beside it', () => {
    expect(() => read('nowhere.safetensors')).toThrow(NotFoundError);
    expect(() => read(npy('alone', '<f4', Float32Array.from(numbers(4))))).toThrow(
      /no file .*alone\.txt: --embeddings needs it/,
    );
    expect(() => read(npyWithIds('fewer', 'x\nc\na\n'))).toThrow(
      /fewer\.txt: found 3 ids, expected 4, as .*fewer\.npy has rows/,
    );
    const path = join(folder, 'cut.safetensors');
    writeFileSync(path, 'abc');
    expect(() => read(path)).toThrow(CorruptObjectError);
  });

  it('are passed to a split unchanged; those of a kind are computed', () => {
    const given = new Map([['a', vector(0)]]);
    const split = { online: new Set<string>(), seed: 1 };
    expect(itemsOf(data, { embeddings: given, ...split })).toBe(given);
    const made = itemsOf(data, { embeddings: embeddingsOf('content', data), ...split });
    expect([...made.keys()]).toEqual(['b', 'a', 'c']);
    expect(made.get('a')).toHaveLength(64);
  });
});

describe('--embeddings', () => {
  const parsed = (value: string) =>
    new Command()
      .addOption(embeddingsOption('default: hybrid'))
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .parse(['--embeddings', value], { from: 'user' })
      .opts();

  it('takes a kind or a file by its ending, and labels results without the folder', () => {
    for (const value of ['hybrid', 'content', '/data/films.npy', 'films.safetensors'])
      expect(parsed(value)).toEqual({ embeddings: value });
    expect(embeddingsName('/data/films.npy')).toBe('films.npy');
    expect(embeddingsName('content')).toBe('content');
  });

  it('refuses an unknown kind', () => {
    expect(() => parsed('hybird')).toThrow(
      'expected hybrid, content, or a file that ends in .safetensors or .npy.',
    );
  });
});
