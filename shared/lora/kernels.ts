/**
 * The inner loops of applying adapters, in one place so that another implementation (SIMD) can
 * replace them. They validate and allocate nothing. Float32 in and out, float64 in between.
 * A is r×d and B is d×r, both row-major, as in PEFT. Four ranks share each load of x in one pass,
 * and their sums stay in registers.
 */

/** z = A·x, into `z`. */
export function downProject(
  a: Float32Array,
  x: Float32Array,
  d: number,
  rank: number,
  z: Float64Array,
): void {
  let k = 0;
  for (; k + 4 <= rank; k += 4) {
    const row0 = k * d;
    const row1 = row0 + d;
    const row2 = row1 + d;
    const row3 = row2 + d;
    let z0 = 0;
    let z1 = 0;
    let z2 = 0;
    let z3 = 0;
    for (let i = 0; i < d; i++) {
      const xi = x[i]!;
      z0 += a[row0 + i]! * xi;
      z1 += a[row1 + i]! * xi;
      z2 += a[row2 + i]! * xi;
      z3 += a[row3 + i]! * xi;
    }
    z[k] = z0;
    z[k + 1] = z1;
    z[k + 2] = z2;
    z[k + 3] = z3;
  }
  for (; k < rank; k++) {
    const row = k * d;
    let sum = 0;
    for (let i = 0; i < d; i++) sum += a[row + i]! * x[i]!;
    z[k] = sum;
  }
}

/** `downProject` of three vectors at a time, which share the loads of A. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: the twelve sums are local variables, so that they stay in registers
function downProjectThree(
  a: Float32Array,
  x: Float32Array,
  y: Float32Array,
  w: Float32Array,
  rank: number,
  zX: Float64Array,
  zY: Float64Array,
  zW: Float64Array,
): void {
  const d = x.length;
  let k = 0;
  for (; k + 4 <= rank; k += 4) {
    const row0 = k * d;
    const row1 = row0 + d;
    const row2 = row1 + d;
    const row3 = row2 + d;
    let x0 = 0;
    let x1 = 0;
    let x2 = 0;
    let x3 = 0;
    let y0 = 0;
    let y1 = 0;
    let y2 = 0;
    let y3 = 0;
    let w0 = 0;
    let w1 = 0;
    let w2 = 0;
    let w3 = 0;
    for (let i = 0; i < d; i++) {
      const xi = x[i]!;
      const yi = y[i]!;
      const wi = w[i]!;
      const a0 = a[row0 + i]!;
      x0 += a0 * xi;
      y0 += a0 * yi;
      w0 += a0 * wi;
      const a1 = a[row1 + i]!;
      x1 += a1 * xi;
      y1 += a1 * yi;
      w1 += a1 * wi;
      const a2 = a[row2 + i]!;
      x2 += a2 * xi;
      y2 += a2 * yi;
      w2 += a2 * wi;
      const a3 = a[row3 + i]!;
      x3 += a3 * xi;
      y3 += a3 * yi;
      w3 += a3 * wi;
    }
    zX[k] = x0;
    zX[k + 1] = x1;
    zX[k + 2] = x2;
    zX[k + 3] = x3;
    zY[k] = y0;
    zY[k + 1] = y1;
    zY[k + 2] = y2;
    zY[k + 3] = y3;
    zW[k] = w0;
    zW[k + 1] = w1;
    zW[k + 2] = w2;
    zW[k + 3] = w3;
  }
  for (; k < rank; k++) {
    const row = k * d;
    let sumX = 0;
    let sumY = 0;
    let sumW = 0;
    for (let i = 0; i < d; i++) {
      sumX += a[row + i]! * x[i]!;
      sumY += a[row + i]! * y[i]!;
      sumW += a[row + i]! * w[i]!;
    }
    zX[k] = sumX;
    zY[k] = sumY;
    zW[k] = sumW;
  }
}

/** out = x + s·B·z. `out` may be `x`. */
function upProject(
  b: Float32Array,
  scale: number,
  z: Float64Array,
  x: Float32Array,
  rank: number,
  out: Float32Array,
): void {
  const d = x.length;
  let from = x;
  let k = 0;
  for (; k + 4 <= rank; k += 4, from = out) {
    const z0 = scale * z[k]!;
    const z1 = scale * z[k + 1]!;
    const z2 = scale * z[k + 2]!;
    const z3 = scale * z[k + 3]!;
    for (let i = 0, at = k; i < d; i++, at += rank) {
      out[i] = from[i]! + (z0 * b[at]! + z1 * b[at + 1]!) + (z2 * b[at + 2]! + z3 * b[at + 3]!);
    }
  }
  for (; k < rank; k++, from = out) {
    const zk = scale * z[k]!;
    for (let i = 0, at = k; i < d; i++, at += rank) out[i] = from[i]! + zk * b[at]!;
  }
}

/** `upProject` of three vectors at a time, which share the loads of B. */
function upProjectThree(
  b: Float32Array,
  scale: number,
  zX: Float64Array,
  zY: Float64Array,
  zW: Float64Array,
  x: Float32Array,
  y: Float32Array,
  w: Float32Array,
  rank: number,
  outX: Float32Array,
  outY: Float32Array,
  outW: Float32Array,
): void {
  const d = x.length;
  let fromX = x;
  let fromY = y;
  let fromW = w;
  let k = 0;
  for (; k + 4 <= rank; k += 4, fromX = outX, fromY = outY, fromW = outW) {
    const x0 = scale * zX[k]!;
    const x1 = scale * zX[k + 1]!;
    const x2 = scale * zX[k + 2]!;
    const x3 = scale * zX[k + 3]!;
    const y0 = scale * zY[k]!;
    const y1 = scale * zY[k + 1]!;
    const y2 = scale * zY[k + 2]!;
    const y3 = scale * zY[k + 3]!;
    const w0 = scale * zW[k]!;
    const w1 = scale * zW[k + 1]!;
    const w2 = scale * zW[k + 2]!;
    const w3 = scale * zW[k + 3]!;
    for (let i = 0, at = k; i < d; i++, at += rank) {
      const b0 = b[at]!;
      const b1 = b[at + 1]!;
      const b2 = b[at + 2]!;
      const b3 = b[at + 3]!;
      outX[i] = fromX[i]! + (x0 * b0 + x1 * b1) + (x2 * b2 + x3 * b3);
      outY[i] = fromY[i]! + (y0 * b0 + y1 * b1) + (y2 * b2 + y3 * b3);
      outW[i] = fromW[i]! + (w0 * b0 + w1 * b1) + (w2 * b2 + w3 * b3);
    }
  }
  for (; k < rank; k++, fromX = outX, fromY = outY, fromW = outW) {
    const xk = scale * zX[k]!;
    const yk = scale * zY[k]!;
    const wk = scale * zW[k]!;
    for (let i = 0, at = k; i < d; i++, at += rank) {
      outX[i] = fromX[i]! + xk * b[at]!;
      outY[i] = fromY[i]! + yk * b[at]!;
      outW[i] = fromW[i]! + wk * b[at]!;
    }
  }
}

/** Latent vectors of the current item; at most 64 ranks. */
const latent = new Float64Array(64);
const second = new Float64Array(64);
const third = new Float64Array(64);

/** out = x + s·B·A·x. `out` may be `x`. */
export function adapt(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  x: Float32Array,
  out: Float32Array,
): void {
  downProject(a, x, x.length, rank, latent);
  upProject(b, scale, latent, x, rank, out);
}

/** `adapt` of every vector: outs[n] = xs[n] + s·B·A·xs[n]. */
export function adaptBatch(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  xs: readonly Float32Array[],
  outs: readonly Float32Array[],
): void {
  let n = 0;
  for (; n + 3 <= xs.length; n += 3) {
    const x = xs[n]!;
    const y = xs[n + 1]!;
    const w = xs[n + 2]!;
    downProjectThree(a, x, y, w, rank, latent, second, third);
    upProjectThree(b, scale, latent, second, third, x, y, w, rank, outs[n]!, outs[n + 1]!, outs[n + 2]!);
  }
  for (; n < xs.length; n++) adapt(a, b, scale, rank, xs[n]!, outs[n]!);
}

/** s·⟨x, B·A·x⟩/⟨x, x⟩, the adapter's contribution to the score of x; 0 for a zero vector. */
export function scoreShare(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  x: Float32Array,
): number {
  const d = x.length;
  downProject(a, x, d, rank, latent);
  let sum = 0;
  let k = 0;
  for (; k + 4 <= rank; k += 4) {
    const z0 = latent[k]!;
    const z1 = latent[k + 1]!;
    const z2 = latent[k + 2]!;
    const z3 = latent[k + 3]!;
    let even = 0;
    let odd = 0;
    for (let i = 0, at = k; i < d; i++, at += rank) {
      const xi = x[i]!;
      even += xi * (z0 * b[at]! + z1 * b[at + 1]!);
      odd += xi * (z2 * b[at + 2]! + z3 * b[at + 3]!);
    }
    sum += even + odd;
  }
  for (; k < rank; k++) {
    const zk = latent[k]!;
    for (let i = 0, at = k; i < d; i++, at += rank) sum += x[i]! * zk * b[at]!;
  }
  let square = 0;
  for (let i = 0; i < d; i++) square += x[i]! * x[i]!;
  return square === 0 ? 0 : (scale * sum) / square;
}

/**
 * q + s·Aᵀ·Bᵀ·q, into `out`: ⟨q, x + sBAx⟩ = ⟨out, x⟩ for every x, so that each of many candidates
 * costs one dot product.
 */
export function foldQuery(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  query: Float32Array,
  out: Float32Array,
): void {
  const d = query.length;
  for (let k = 0; k < rank; k++) {
    let sum = 0;
    for (let i = 0, at = k; i < d; i++, at += rank) sum += query[i]! * b[at]!;
    latent[k] = scale * sum;
  }
  for (let i = 0; i < d; i++) {
    let sum = query[i]!;
    for (let k = 0, at = i; k < rank; k++, at += d) sum += latent[k]! * a[at]!;
    out[i] = sum;
  }
}

/** out[n] = ⟨query, candidates[n]⟩. */
export function dotProducts(
  query: Float32Array,
  candidates: readonly Float32Array[],
  out: Float64Array,
): void {
  const d = query.length;
  let n = 0;
  for (; n + 4 <= candidates.length; n += 4) {
    const c0 = candidates[n]!;
    const c1 = candidates[n + 1]!;
    const c2 = candidates[n + 2]!;
    const c3 = candidates[n + 3]!;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let i = 0; i < d; i++) {
      const qi = query[i]!;
      sum0 += qi * c0[i]!;
      sum1 += qi * c1[i]!;
      sum2 += qi * c2[i]!;
      sum3 += qi * c3[i]!;
    }
    out[n] = sum0;
    out[n + 1] = sum1;
    out[n + 2] = sum2;
    out[n + 3] = sum3;
  }
  for (; n < candidates.length; n++) {
    const candidate = candidates[n]!;
    let sum = 0;
    for (let i = 0; i < d; i++) sum += query[i]! * candidate[i]!;
    out[n] = sum;
  }
}
