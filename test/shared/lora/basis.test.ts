import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import {
  type Basis,
  basisFromEmbeddings,
  coefficientCount,
  createBasis,
  features,
  project,
  randomBasis,
  sharedDirections,
  vectorNorm,
} from '../../../shared/lora/basis.ts';
import { featuresKernel } from '../../../shared/lora/features-kernel.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import { referenceFeatures } from '../../bench/reference.ts';
import { type Dense, difference, identity, product, range, times, toRows, transpose } from './dense.ts';
import { arbitraryBasis, cases, createRandom, vectorOf } from './fixtures.ts';

const options = { rank: 2, scalingFactor: 3, seed: 'test' };

/** Items near a plane of a space of `d` dimensions, so that two directions lead clearly. */
function plane(count: number, d: number): Float32Array[] {
  const random = createRandom(`plane ${d}`);
  const axes = [vectorOf(random, d), vectorOf(random, d)];
  return range(count).map(() => {
    const [u, v] = [2 + random.normal(), random.normal()];
    return Float32Array.from(axes[0]!, (value, i) => u * value + v * axes[1]![i]! + 0.05 * random.normal());
  });
}

const unit = (x: ArrayLike<number>): number[] => Array.from(x, (value) => value / vectorNorm(x));
const gram = (rows: Dense): number[] => product(rows, transpose(rows)).flat();

describe('features', () => {
  it('of an item times coefficients are the share that the LoRA matrices give it', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const [d, r, p] = [2 + random.integer(6), 1 + random.integer(4), 1 + random.integer(5)];
        const basis = arbitraryBasis(random, { d, r, p, scale: 0.1 + random.next() });
        const x = vectorOf(random, d, 10 ** (random.integer(7) - 3));
        const m = Float64Array.from({ length: p + 1 }, () => random.normal());
        const psi = new Float64Array(p + 1).fill(Number.NaN);
        features(basis, x, psi);
        const b = toRows(times(toRows(basis.projection, p), [...m.subarray(0, p)]), r);
        const y = times(b, times(toRows(basis.a, d), [...x]));
        const share = (basis.scale * dot(x, y)) / dot(x, x);
        expect(dot(psi, m)).toBeCloseTo(share + m[p]!, 10);
      }),
      cases(1000),
    );
  });

  it('are the offset alone for a zero vector, and without a basis', () => {
    const out = new Float64Array(4).fill(7);
    features(arbitraryBasis(createRandom(1)), new Float32Array(5), out);
    expect([...out]).toEqual([0, 0, 0, 1]);
    const offset = Float64Array.of(7);
    features(null, Float32Array.of(1, 2), offset);
    expect([...offset]).toEqual([1]);
    expect([coefficientCount(null), coefficientCount(arbitraryBasis(createRandom(1)))]).toEqual([1, 4]);
  });

  it('do not depend on the length of the item, down to denormal numbers', () => {
    const basis = arbitraryBasis(createRandom(2));
    const x = Float32Array.of(1, -2, 4, 0, 8);
    const [far, near] = [new Float64Array(4), new Float64Array(4)];
    features(
      basis,
      x.map((value) => value * 2 ** 124),
      far,
    );
    features(
      basis,
      x.map((value) => value * 2 ** -149),
      near,
    );
    expect(difference(near, far)).toBeLessThan(1e-15);
  });
});

describe('basisFromEmbeddings', () => {
  it.each([16, 120])('spans with A the leading directions of the items (d = %i)', (d) => {
    const items = plane(80, d);
    const basis = basisFromEmbeddings(items, options);
    expect(basis).toMatchObject({ embeddingDim: d, rank: 2, scale: 1.5 });
    const a = toRows(basis.a, d);
    expect(difference(gram(a), identity(2).flat())).toBeLessThan(1e-6);
    for (const x of items) expect(vectorNorm(times(a, unit(x)))).toBeGreaterThan(0.97);
    const [first, second] = a.map((row) => items.reduce((sum, x) => sum + dot(row, unit(x)) ** 2, 0));
    expect(first).toBeGreaterThan(second!);
  });

  it.each([
    ['by the moment matrix', 16, 80],
    ['by the method of snapshots', 60, 30],
  ])('makes Π of the leading eigenvectors of Σφφᵀ, %s', (_, d, count) => {
    const items = plane(count, d);
    const basis = basisFromEmbeddings(items, options);
    const p = basis.projectionDim;
    expect(p).toBe(Math.min(64, 2 * d));
    const phi = items.map((x) => {
      const z = times(toRows(basis.a, d), unit(x));
      return unit(x).flatMap((xi) => z.map((zk) => xi * zk));
    });
    const columns = transpose(toRows(basis.projection, p)).slice(0, 3);
    expect(difference(gram(columns), identity(3).flat())).toBeLessThan(1e-5);
    const captured = columns.map((column) => phi.reduce((sum, row) => sum + dot(row, column) ** 2, 0));
    for (const [j, column] of columns.entries()) {
      const image = range(column.length).map((i) =>
        phi.reduce((sum, row) => sum + dot(row, column) * row[i]!, 0),
      );
      expect(
        difference(
          image,
          column.map((value) => value * captured[j]!),
        ),
      ).toBeLessThan(2e-3);
    }
    expect(captured).toEqual([...captured].sort((x, y) => y - x));
    const whole = phi.reduce((sum, row) => sum + dot(row, row), 0);
    expect(captured.reduce((sum, value) => sum + value, 0) / whole).toBeGreaterThan(0.97);
  });

  it('leaves directions that the sample does not have at zero', () => {
    const items = plane(3, 40);
    const basis = basisFromEmbeddings(items, options);
    const lengths = transpose(toRows(basis.projection, 64)).map(vectorNorm);
    expect(
      difference(
        lengths,
        range(64).map((j) => (j < 3 ? 1 : 0)),
      ),
    ).toBeLessThan(1e-6);
    const repeated = basisFromEmbeddings([items[0]!, items[0]!, items[0]!], options);
    expect(
      transpose(toRows(repeated.projection, 64))
        .map(vectorNorm)
        .filter((length) => length > 0.5),
    ).toHaveLength(1);
  });

  it('does not depend on the length of the items, and leaves zero vectors out', () => {
    const items = plane(30, 16);
    const scaled = items.flatMap((x, n) => [x.map((value) => value * 2 ** (n - 9)), new Float32Array(16)]);
    expect(basisFromEmbeddings(scaled, options).id).toBe(basisFromEmbeddings(items, options).id);
  });

  it('samples a large catalogue evenly', () => {
    const axis = (i: number) => Float32Array.from({ length: 16 }, (_, k) => (k === i ? 1 : 0));
    const items = range(6000).map((n) => axis(n % 3 === 0 ? 0 : n % 3 === 1 ? 1 : n < 3000 ? 2 : 3));
    const basis = basisFromEmbeddings(items, { ...options, rank: 1 });
    // Every third item is sampled, which always lies on the first axis.
    expect([...basis.a].map(Math.abs)).toEqual([...axis(0)]);
  });

  it('uses at most 2,000 items, however large the catalogue', () => {
    const items = plane(3883, 16);
    const basis = basisFromEmbeddings(items, options);
    items[3882] = new Float32Array(16).fill(Number.NaN);
    expect(basisFromEmbeddings(items, options).id).toBe(basis.id);
  });

  it('repeats itself by the seed', () => {
    const items = plane(30, 16);
    expect(basisFromEmbeddings(items, options)).toEqual(basisFromEmbeddings(items, options));
    const isotropic = (seed: number) => randomBasis(16, { ...options, seed }).id;
    expect(isotropic(1)).toBe(isotropic(1));
    expect(isotropic(1)).not.toBe(isotropic(2));
  });

  it.each([
    [16, 64],
    [16, 16],
    [64, 64],
    [4096, 4],
  ])('works at its limits: d = %i, r = %i', (d, rank) => {
    const random = createRandom('limits');
    const items = range(12).map(() => vectorOf(random, d));
    const basis = basisFromEmbeddings(items, { ...options, rank });
    expect(basis.a).toHaveLength(rank * d);
    expect(basis.a.every(Number.isFinite) && basis.projection.every(Number.isFinite)).toBe(true);
  });

  it.each<[string, Float32Array[]]>([
    ['embeddings: found 0 without a direction, expected at least one non-zero vector', []],
    [
      'embeddings: found 1 without a direction, expected at least one non-zero vector',
      [new Float32Array(16)],
    ],
    ['embeddings[1]: found length 3, expected length 2', [Float32Array.of(1, 2), Float32Array.of(1, 2, 3)]],
    [
      'embeddings[0]: found a number that is not finite, expected finite numbers',
      [Float32Array.of(1, Number.NaN)],
    ],
  ])('refuses: %s', (message, items) => {
    expect(() => basisFromEmbeddings(items, options)).toThrow(InvalidInputError);
    expect(() => basisFromEmbeddings(items, options)).toThrow(message);
  });
});

describe('randomBasis', () => {
  it.each([
    [16, 1, 16],
    [16, 4, 58],
    [16, 64, 64],
    [300, 20, 64],
  ])('has an orthonormal A and Π (d = %i, r = %i)', (d, rank, p) => {
    const basis = randomBasis(d, { rank, scalingFactor: rank, seed: 'x' });
    expect(basis.projectionDim).toBe(p);
    const columns = transpose(toRows(basis.projection, p));
    expect(difference(gram(columns), identity(p).flat())).toBeLessThan(1e-5);
    const rows = toRows(basis.a, d).slice(0, d);
    const orthonormal = gram(rows.slice(0, Math.min(rank, d)));
    expect(difference(orthonormal, identity(Math.min(rank, d)).flat())).toBeLessThan(1e-6);
  });

  it('captures as much of items in all directions as their own leading features', () => {
    const random = createRandom('isotropic');
    const [d, rank] = [16, 2];
    const basis = randomBasis(d, { rank, scalingFactor: rank, seed: 'y' });
    const items = range(4000).map(() => unit(vectorOf(random, d)));
    const energy = range(basis.projectionDim).map((j) => {
      const column = toRows(basis.projection, basis.projectionDim).map((row) => row[j]!);
      return items.reduce((sum, x) => {
        const z = times(toRows(basis.a, d), x);
        return (
          sum +
          dot(
            column,
            x.flatMap((xi) => z.map((zk) => xi * zk)),
          ) **
            2
        );
      }, 0);
    });
    // ⟨(x·a)²⟩ = 3/(d(d+2)), ⟨√2(x·a)(x·b)⟩² = 2/(d(d+2)), ⟨(x·a)(x·v)⟩² = 1/(d(d+2)).
    const unitOf = items.length / (d * (d + 2));
    for (const [j, expected] of [3, 2, 3, 1, 1, 1].entries()) {
      expect(energy[j]! / unitOf).toBeGreaterThan(0.85 * expected);
      expect(energy[j]! / unitOf).toBeLessThan(1.15 * expected);
    }
  });

  it('has orthonormal rows in A and orthonormal columns in Π', () => {
    const basis = randomBasis(24, { rank: 4, scalingFactor: 4, seed: 1 });
    expect(difference(gram(toRows(basis.a, 24)), identity(4).flat())).toBeLessThan(1e-6);
    const columns = transpose(toRows(basis.projection, basis.projectionDim));
    expect(difference(gram(columns), identity(64).flat())).toBeLessThan(1e-5);
  });
});

describe('createBasis', () => {
  const parts: Omit<Basis, 'id' | 'projectionDim'> = {
    embeddingDim: 2,
    rank: 1,
    scale: 1,
    a: Float32Array.of(1, 2),
    projection: Float32Array.of(1, 0, 0, 1),
  };

  it('gives a basis an id from all its content', () => {
    const variants = [
      parts,
      { ...parts, scale: 2 },
      { ...parts, a: Float32Array.of(1, 3) },
      { ...parts, projection: Float32Array.of(1, 0, 0, 2) },
    ];
    const ids = variants.map((variant) => createBasis(variant).id);
    expect(new Set(ids).size).toBe(4);
    expect(createBasis({ ...parts }).id).toBe(ids[0]);
    expect(ids[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(createBasis(parts).projectionDim).toBe(2);
  });

  it.each<[string, Partial<typeof parts>]>([
    [
      'basis: found A of 3 and Π of 4 numbers, expected A of 1×2 and Π of 2×p',
      { a: Float32Array.of(1, 2, 3) },
    ],
    [
      'basis: found A of 2 and Π of 3 numbers, expected A of 1×2 and Π of 2×p',
      { projection: new Float32Array(3) },
    ],
    ['basis: found A of 2 and Π of 0 numbers', { projection: new Float32Array(0) }],
    ['basis.scale: found 0, expected a number from 1e-6 to 1e6', { scale: 0 }],
    ['basis.scale: found NaN, expected a number from 1e-6 to 1e6', { scale: Number.NaN }],
    ['basis.scale: found 1000001, expected', { scale: 1_000_001 }],
    ['basis.rank: found 65, expected an integer from 1 to 64', { rank: 65 }],
    ['basis.rank: found 0, expected an integer from 1 to 64', { rank: 0 }],
    ['basis.rank: found 1.5, expected an integer from 1 to 64', { rank: 1.5 }],
    ['basis: found rank × embeddingDim of 16388, expected at most 16384', { rank: 4, embeddingDim: 4097 }],
    ['basis.a: found a number that is not finite', { a: Float32Array.of(1, Number.NaN) }],
    [
      'basis.projection: found a number that is not finite',
      { projection: Float32Array.of(1, 0, 0, Number.POSITIVE_INFINITY) },
    ],
  ])('refuses: %s', (message, wrong) => {
    expect(() => createBasis({ ...parts, ...wrong })).toThrow(message);
  });

  it('takes the extremes that it allows', () => {
    for (const scale of [1e-6, 1e6]) expect(createBasis({ ...parts, scale }).scale).toBe(scale);
    const [rank, embeddingDim] = [64, 256];
    const large = { rank, embeddingDim, a: new Float32Array(16_384), projection: new Float32Array(16_384) };
    expect(createBasis({ ...parts, ...large }).projectionDim).toBe(1);
  });
});

describe('project and vectorNorm', () => {
  it('are A·x and the Euclidean length', () => {
    expect([...project(Float32Array.of(1, 2, 3, 4, 5, 6), [1, 0, -1], 2)]).toEqual([-2, -2]);
    expect(vectorNorm([3, 4])).toBe(5);
  });
});

describe('sharedDirections', () => {
  const rows = (...a: number[]) => ({ embeddingDim: 3, rank: 2, scale: 1, a: Float32Array.from(a) });
  it.each([
    ['the same row space in another order', rows(1, 0, 0, 0, 1, 0), rows(0, 1, 0, -1, 0, 0), 1],
    ['one direction of two', rows(1, 0, 0, 0, 1, 0), rows(0, 1, 0, 0, 0, 1), 0.5],
    [
      'a direction turned by 60 degrees',
      rows(1, 0, 0, 0, 1, 0),
      rows(1, 0, 0, 0, 0.5, Math.sqrt(0.75)),
      0.625,
    ],
  ])('measures %s', (_, from, to, expected) => {
    expect(sharedDirections(from, to)).toBeCloseTo(expected, 6);
  });
});

it('computes features that are the same to the bit as with one loop over the rows of Π', () => {
  expect(featuresKernel).not.toBeNull();
  const random = createRandom('feature bits');
  // 64 columns, and 10, which are no multiple of eight; an odd number of rows.
  for (const [d, rank] of [
    [40, 4],
    [384, 3],
    [5, 2],
    [85, 1],
  ] as const) {
    const shape = { rank, scalingFactor: 3, seed: 1 };
    const some = Array.from({ length: 70 }, () => Float32Array.from({ length: d }, () => random.normal()));
    const basis = basisFromEmbeddings(some, shape);
    const [found, expected] = [
      new Float64Array(basis.projectionDim + 1),
      new Float64Array(basis.projectionDim + 1),
    ];
    for (const x of some) {
      referenceFeatures(basis, x, expected);
      for (const kernel of [featuresKernel, null]) {
        features(basis, x, found, 'float64', kernel);
        expect(found).toEqual(expected);
      }
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      features(basis, x, found, 'float32');
      found.forEach((value, j) => {
        expect(Math.abs(value - expected[j]!)).toBeLessThan(1e-5 * largest);
      });
    }
  }
});
