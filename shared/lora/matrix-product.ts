/**
 * A matrix in memory: element (i, l) is at i·row + l·step. A matrix and its transpose are the same
 * values with `row` and `step` exchanged.
 */
export interface MatrixView {
  readonly values: Float64Array;
  readonly row: number;
  readonly step: number;
}

/**
 * out = scale·P·Qᵀ: out[i·n + j] = scale·Σ_l P(i, l)·Q(j, l).
 *
 * Tiles of 2×4 elements keep their sums in registers, so that eight multiplications need six loads
 * instead of sixteen.
 * @param m rows of P
 * @param n rows of Q
 * @param depth columns of both
 * @param out m×n, row-major, overwritten; not one of the inputs
 */
export function multiplyTransposed(
  { values: p, row: pr, step: ps }: MatrixView,
  { values: q, row: qr, step: qs }: MatrixView,
  m: number,
  n: number,
  depth: number,
  scale: number,
  out: Float64Array,
): void {
  let i = 0;
  for (; i + 2 <= m; i += 2) {
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      let x0 = 0;
      let x1 = 0;
      let x2 = 0;
      let x3 = 0;
      let y0 = 0;
      let y1 = 0;
      let y2 = 0;
      let y3 = 0;
      for (let l = 0, at = i * pr, qt = j * qr; l < depth; l++, at += ps, qt += qs) {
        const x = p[at]!;
        const y = p[at + pr]!;
        const q0 = q[qt]!;
        const q1 = q[qt + qr]!;
        const q2 = q[qt + 2 * qr]!;
        const q3 = q[qt + 3 * qr]!;
        x0 += x * q0;
        y0 += y * q0;
        x1 += x * q1;
        y1 += y * q1;
        x2 += x * q2;
        y2 += y * q2;
        x3 += x * q3;
        y3 += y * q3;
      }
      const at = i * n + j;
      out[at] = scale * x0;
      out[at + 1] = scale * x1;
      out[at + 2] = scale * x2;
      out[at + 3] = scale * x3;
      out[at + n] = scale * y0;
      out[at + n + 1] = scale * y1;
      out[at + n + 2] = scale * y2;
      out[at + n + 3] = scale * y3;
    }
    for (; j < n; j++) {
      let x = 0;
      let y = 0;
      for (let l = 0, at = i * pr, qt = j * qr; l < depth; l++, at += ps, qt += qs) {
        x += p[at]! * q[qt]!;
        y += p[at + pr]! * q[qt]!;
      }
      out[i * n + j] = scale * x;
      out[(i + 1) * n + j] = scale * y;
    }
  }
  for (; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0, at = i * pr, qt = j * qr; l < depth; l++, at += ps, qt += qs) sum += p[at]! * q[qt]!;
      out[i * n + j] = scale * sum;
    }
  }
}
