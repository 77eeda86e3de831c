import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sparseMatrix, truncatedSvdScores } from '../../../../cli/replay/datasets/truncated-svd.ts';
import { createRandom } from '../../../../shared/lora/random.ts';

/**
 * Rows of U·S of rank k are known up to rotation of the columns; their Gram matrix M_k·M_kᵀ is
 * known.
 */
function gram(rows: number[][]): number[] {
  return rows.flatMap((a) => rows.map((b) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)));
}

function scoresOf(dense: number[][], dims: number, seed = 1): number[][] {
  const columns = dense[0]!.length;
  const sparse = dense.map((row) =>
    row.map((value, j) => [j, value] as const).filter(([, value]) => value !== 0),
  );
  const flat = truncatedSvdScores(sparseMatrix(sparse, columns), dims, createRandom(seed));
  return dense.map((_, i) => [...flat.subarray(i * dims, (i + 1) * dims)]);
}

const entry = fc.oneof(fc.constant(0), fc.double({ min: -3, max: 3, noNaN: true, noDefaultInfinity: true }));
const matrices = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }))
  .chain(([rows, columns]) =>
    fc.array(fc.array(entry, { minLength: columns, maxLength: columns }), {
      minLength: rows,
      maxLength: rows,
    }),
  );

describe('truncatedSvdScores', () => {
  it('preserves a matrix when there are at least as many dimensions as columns', () => {
    fc.assert(
      fc.property(matrices, fc.integer({ min: 0, max: 3 }), (dense, more) => {
        const kept = gram(scoresOf(dense, dense[0]!.length + more));
        gram(dense).forEach((value, i) => {
          expect(kept[i]).toBeCloseTo(value, 8);
        });
      }),
    );
  });

  it('keeps the directions of the largest singular values, largest first', () => {
    // M = U·diag(9, 5, 2, 1, .5 …)·Vᵀ with orthonormal Hadamard columns in U and V.
    const n = 16;
    const hadamard = Array.from({ length: n }, (_, i) =>
      Array.from({ length: n }, (_, j) => (-1) ** bitCount(i & j) / Math.sqrt(n)),
    );
    const singular = Array.from({ length: n }, (_, k) => [9, 5, 2, 1][k] ?? 0.5 / k);
    const dense = hadamard.map((u) =>
      Array.from({ length: n }, (_, j) =>
        u.reduce((sum, value, k) => sum + value * singular[k]! * hadamard[j]![k]!, 0),
      ),
    );
    const scores = scoresOf(dense, 3);
    for (let k = 0; k < 3; k++) {
      const sign = Math.sign(scores[0]![k]!);
      hadamard.forEach((u, i) => {
        expect(sign * scores[i]![k]!).toBeCloseTo(u[k]! * singular[k]!, 9);
      });
    }
  });

  it('is deterministic in the seed', () => {
    const dense = Array.from({ length: 30 }, (_, i) =>
      Array.from({ length: 20 }, (_, j) => Math.sin(i * j + i)),
    );
    expect(scoresOf(dense, 5, 3)).toEqual(scoresOf(dense, 5, 3));
  });

  it('gives zeros for a matrix without columns or without entries', () => {
    expect(scoresOf([[], []], 2)).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(scoresOf([[0, 0]], 3)).toEqual([[0, 0, 0]]);
  });
});

function bitCount(value: number): number {
  return value.toString(2).replaceAll('0', '').length;
}
