/**
 * Symmetric matrices of order n in packed form: the rows of the lower triangle follow each other,
 * so that element (i, j), j ≤ i, is at i(i + 1)/2 + j. All in float64.
 */
export type PackedSymmetric = Float64Array;

/** Number of elements of a packed symmetric matrix of order n. */
export function packedLength(n: number): number {
  return (n * (n + 1)) / 2;
}

export function packedDiagonal(diagonal: ArrayLike<number>): PackedSymmetric {
  const packed = new Float64Array(packedLength(diagonal.length));
  for (let i = 0; i < diagonal.length; i++) packed[packedLength(i) + i] = diagonal[i]!;
  return packed;
}

/** Adds weight·v·vᵀ to `packed`, in place. */
export function addOuterProduct(packed: PackedSymmetric, v: Float64Array, weight = 1): void {
  let at = 0;
  for (let i = 0; i < v.length; i++) {
    const vi = weight * v[i]!;
    for (let j = 0; j <= i; j++) packed[at + j]! += vi * v[j]!;
    at += i + 1;
  }
}

/** packed·v, for a packed matrix of order v.length. */
export function multiply(packed: PackedSymmetric, v: Float64Array): Float64Array {
  const out = new Float64Array(v.length);
  let at = 0;
  for (let i = 0; i < v.length; i++) {
    let sum = 0;
    const vi = v[i]!;
    for (let j = 0; j < i; j++) {
      const a = packed[at + j]!;
      sum += a * v[j]!;
      out[j]! += a * vi;
    }
    out[i]! += sum + packed[at + i]! * vi;
    at += i + 1;
  }
  return out;
}

/** trace(P·Q) of two packed matrices of order n: Σ over all (i, j) of P_ij·Q_ij. */
export function traceOfProduct(p: PackedSymmetric, q: PackedSymmetric, n: number): number {
  let sum = 0;
  let at = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) sum += 2 * p[at + j]! * q[at + j]!;
    sum += p[at + i]! * q[at + i]!;
    at += i + 1;
  }
  return sum;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/**
 * Cholesky factor L (packed by rows) of a positive definite matrix: P = L·Lᵀ.
 * @returns undefined when the matrix is not positive definite to working precision
 */
export function cholesky(matrix: PackedSymmetric, n: number): PackedSymmetric | undefined {
  const l = matrix.slice();
  let rowI = 0;
  for (let i = 0; i < n; i++) {
    let rowJ = 0;
    for (let j = 0; j <= i; j++) {
      let sum = l[rowI + j]!;
      for (let k = 0; k < j; k++) sum -= l[rowI + k]! * l[rowJ + k]!;
      if (j < i) l[rowI + j] = sum / l[rowJ + j]!;
      else if (sum > 0) l[rowI + i] = Math.sqrt(sum);
      else return undefined;
      rowJ += j + 1;
    }
    rowI += i + 1;
  }
  return l;
}

/** Solves L·Lᵀ·x = b for a Cholesky factor L. */
export function choleskySolve(l: PackedSymmetric, b: Float64Array): Float64Array {
  const n = b.length;
  const x = b.slice();
  for (let i = 0, row = 0; i < n; row += ++i) {
    let sum = x[i]!;
    for (let k = 0; k < i; k++) sum -= l[row + k]! * x[k]!;
    x[i] = sum / l[row + i]!;
  }
  return choleskySolveTransposed(l, x);
}

/**
 * Solves Lᵀ·x = b for a Cholesky factor L: with b standard normal, x has the covariance (L·Lᵀ)⁻¹.
 */
export function choleskySolveTransposed(l: PackedSymmetric, b: Float64Array): Float64Array {
  const x = b.slice();
  for (let i = x.length - 1; i >= 0; i--) {
    const row = packedLength(i);
    const xi = x[i]! / l[row + i]!;
    x[i] = xi;
    for (let k = 0; k < i; k++) x[k]! -= l[row + k]! * xi;
  }
  return x;
}

/** (L·Lᵀ)⁻¹, packed, for a Cholesky factor L of order n. */
export function choleskyInverse(l: PackedSymmetric, n: number): PackedSymmetric {
  // K = L⁻¹ is lower triangular too, and the inverse is Kᵀ·K.
  const k = new Float64Array(packedLength(n));
  for (let j = 0; j < n; j++) {
    k[packedLength(j) + j] = 1 / l[packedLength(j) + j]!;
    for (let i = j + 1; i < n; i++) {
      const row = packedLength(i);
      let sum = 0;
      for (let m = j; m < i; m++) sum -= l[row + m]! * k[packedLength(m) + j]!;
      k[row + j] = sum / l[row + i]!;
    }
  }
  const inverse = new Float64Array(packedLength(n));
  for (let m = 0; m < n; m++) {
    const row = packedLength(m);
    let at = 0;
    for (let i = 0; i <= m; i++) {
      const kmi = k[row + i]!;
      for (let j = 0; j <= i; j++) inverse[at + j]! += kmi * k[row + j]!;
      at += i + 1;
    }
  }
  return inverse;
}

/** log det(L·Lᵀ) for a Cholesky factor L of order n. */
export function choleskyLogDeterminant(l: PackedSymmetric, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.log(l[packedLength(i) + i]!);
  return 2 * sum;
}
