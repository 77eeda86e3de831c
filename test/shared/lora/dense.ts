/**
 * Matrices as plain nested arrays with slow, obvious algorithms, to compare the packed ones with.
 */
export type Dense = number[][];

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export function identity(n: number, scale = 1): Dense {
  return range(n).map((i) => range(n).map((j) => (i === j ? scale : 0)));
}

export function product(p: Dense, q: Dense): Dense {
  return p.map((row) =>
    range(q[0]!.length).map((j) => row.reduce((sum, value, k) => sum + value * q[k]![j]!, 0)),
  );
}

export function transpose(p: Dense): Dense {
  return range(p[0]!.length).map((j) => p.map((row) => row[j]!));
}

export function plus(p: Dense, q: Dense, weight = 1): Dense {
  return p.map((row, i) => row.map((value, j) => value + weight * q[i]![j]!));
}

export function times(p: Dense, v: readonly number[]): number[] {
  return p.map((row) => row.reduce((sum, value, k) => sum + value * v[k]!, 0));
}

export function outer(v: readonly number[], w: readonly number[]): Dense {
  return v.map((a) => w.map((b) => a * b));
}

/** Gauss–Jordan elimination with partial pivoting: the inverse and the determinant. */
export function invert(p: Dense): { inverse: Dense; determinant: number } {
  const n = p.length;
  const rows = p.map((row, i) => [...row, ...identity(n)[i]!]);
  let determinant = 1;
  for (let c = 0; c < n; c++) {
    const pivot = range(n)
      .slice(c)
      .reduce((best, i) => (Math.abs(rows[i]![c]!) > Math.abs(rows[best]![c]!) ? i : best), c);
    if (pivot !== c) determinant = -determinant;
    [rows[c], rows[pivot]] = [rows[pivot]!, rows[c]!];
    const lead = rows[c]![c]!;
    determinant *= lead;
    rows[c] = rows[c]!.map((value) => value / lead);
    for (let i = 0; i < n; i++) {
      if (i === c) continue;
      const factor = rows[i]![c]!;
      rows[i] = rows[i]!.map((value, j) => value - factor * rows[c]![j]!);
    }
  }
  return { inverse: rows.map((row) => row.slice(n)), determinant };
}

/** The packed lower triangle, row after row. */
export function pack(p: Dense): Float64Array {
  return Float64Array.from(p.flatMap((row, i) => row.slice(0, i + 1)));
}

export function unpack(packed: ArrayLike<number>, n: number): Dense {
  return range(n).map((i) =>
    range(n).map((j) => packed[(Math.max(i, j) * (Math.max(i, j) + 1)) / 2 + Math.min(i, j)]!),
  );
}

/** Rows of a row-major array. */
export function toRows(values: ArrayLike<number>, columns: number): Dense {
  return range(values.length / columns).map((i) => range(columns).map((j) => values[i * columns + j]!));
}

/** Largest difference of two arrays, relative to the largest element of the second (or 1). */
export function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  let largest = 1;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const gap = Math.abs(found[i]! - expected[i]!);
    worst = Number.isNaN(gap) ? Number.POSITIVE_INFINITY : Math.max(worst, gap);
  }
  return worst / largest;
}
