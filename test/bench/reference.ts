import type { Basis } from '../../shared/lora/basis.ts';
import { type PreparedPrior, posteriorMean } from '../../shared/lora/prior.ts';
import { addReward, copyStatistics, type Statistics } from '../../shared/lora/statistics.ts';
import { dot } from '../../shared/lora/symmetric.ts';

/**
 * The reference for the kernels: the same results by definition, composed of vector operations in
 * plain loops with new arrays, as in a careful first version. For benchmarks and for tests.
 */

/** y = x + s·B·A·x. */
export function referenceForward(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  x: Float32Array,
): Float32Array {
  const z = matrixVector(a, x, rank, x.length);
  return sum(x, scaled(matrixVector(b, z, x.length, rank), scale));
}

export function referenceBatch(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  xs: readonly Float32Array[],
): Float32Array[] {
  return xs.map((x) => referenceForward(a, b, scale, rank, x));
}

/** ⟨q, y⟩ of every candidate, each adapted first. */
export function referenceRank(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  query: Float32Array,
  xs: readonly Float32Array[],
): number[] {
  return xs.map((x) => dotProduct(query, referenceForward(a, b, scale, rank, x)));
}

/** ⟨x, y⟩/⟨x, x⟩ − 1 of every candidate. */
export function referenceScores(
  a: Float32Array,
  b: Float32Array,
  scale: number,
  rank: number,
  xs: readonly Float32Array[],
): number[] {
  return xs.map((x) => dotProduct(x, referenceForward(a, b, scale, rank, x)) / dotProduct(x, x) - 1);
}

export interface ReferenceState {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly anchor: Float32Array;
  readonly fisher: Float32Array;
}

/**
 * One step of gradient descent on targets x·t, with a clipped gradient and elastic weights as
 * shared/lora/sgd.ts has them.
 */
export function referenceUpdate(
  { a, b, anchor, fisher }: ReferenceState,
  rank: number,
  xs: readonly Float32Array[],
  targets: readonly number[],
  { rate, clip, lambda }: { rate: number; clip: number; lambda: number },
): ReferenceState {
  const d = xs[0]!.length;
  let gradientA = new Float32Array(a.length);
  let gradientB = new Float32Array(b.length);
  for (const [n, raw] of xs.entries()) {
    const norm = Math.sqrt(dotProduct(raw, raw));
    const x = raw.map((value) => value / norm);
    const z = matrixVector(a, x, rank, d);
    const y = matrixVector(b, z, d, rank);
    const e = y.map((value, i) => x[i]! + value - targets[n]! * x[i]!);
    const back = new Float32Array(rank);
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += b[i * rank + k]! * e[i]!;
      back[k] = sum;
    }
    const ofB = outerProduct(e, z);
    const ofA = outerProduct(back, x);
    gradientB = gradientB.map((value, i) => value + ofB[i]! / xs.length);
    gradientA = gradientA.map((value, i) => value + ofA[i]! / xs.length);
  }
  const gradient = new Float32Array(a.length + b.length);
  gradient.set(gradientA);
  gradient.set(gradientB, a.length);
  const norm = Math.sqrt(dotProduct(gradient, gradient));
  const clipped = norm > clip ? gradient.map((value) => (value * clip) / norm) : gradient;
  const parameters = new Float32Array(a.length + b.length);
  parameters.set(a);
  parameters.set(b, a.length);
  const moved = parameters.map((value, i) => {
    const tie = rate * lambda * fisher[i]!;
    return (value - rate * clipped[i]! + tie * anchor[i]!) / (1 + tie);
  });
  const kept = 0.9 ** (1 / 20);
  const information = fisher.map((value, i) => kept * value + (clipped[i]! * clipped[i]!) / 20);
  return { a: moved.slice(0, a.length), b: moved.slice(a.length), anchor, fisher: information };
}

/** The file that `layOutTensors` makes of A and B, number by number. */
export function referenceEncode(a: Float32Array, b: Float32Array, rank: number): Uint8Array {
  const d = a.length / rank;
  const header = JSON.stringify({
    __metadata__: { format: 'pt' },
    lora_A: { dtype: 'F32', shape: [rank, d], data_offsets: [0, a.byteLength] },
    lora_B: { dtype: 'F32', shape: [d, rank], data_offsets: [a.byteLength, a.byteLength + b.byteLength] },
  });
  const text = new TextEncoder().encode(header.padEnd(Math.ceil(header.length / 8) * 8));
  const bytes = new Uint8Array(8 + text.length + a.byteLength + b.byteLength);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let offset = 8 + text.length;
  for (const matrix of [a, b]) {
    for (const value of matrix) {
      view.setFloat32(offset, value, true);
      offset += 4;
    }
  }
  return bytes;
}

function matrixVector(matrix: Float32Array, v: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(rows);
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += matrix[i * columns + j]! * v[j]!;
    out[i] = sum;
  }
  return out;
}

function scaled(v: Float32Array, factor: number): Float32Array {
  const out = new Float32Array(v.length);
  for (let i = 0; i < v.length; i++) out[i] = v[i]! * factor;
  return out;
}

function sum(u: Float32Array, v: Float32Array): Float32Array {
  const out = new Float32Array(u.length);
  for (let i = 0; i < u.length; i++) out[i] = u[i]! + v[i]!;
  return out;
}

function outerProduct(u: Float32Array, v: Float32Array): Float32Array {
  const out = new Float32Array(u.length * v.length);
  for (let i = 0; i < u.length; i++) for (let j = 0; j < v.length; j++) out[i * v.length + j] = u[i]! * v[j]!;
  return out;
}

function dotProduct(u: Float32Array, v: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < u.length; i++) sum += u[i]! * v[i]!;
  return sum;
}

/** B = Π·m, a number at a time. */
export function referenceTaste(projection: Float32Array, p: number, m: Float64Array): Float32Array {
  const b = new Float32Array(projection.length / p);
  for (let row = 0; row < b.length; row++) {
    let sum = 0;
    for (let j = 0; j < p; j++) sum += projection[row * p + j]! * m[j]!;
    b[row] = sum;
  }
  return b;
}

/** ψ of an item with one loop over the rows of Π, as in the first version. */
export function referenceFeatures(basis: Basis, embedding: ArrayLike<number>, out: Float64Array): void {
  const { embeddingDim: d, rank: r, projection, projectionDim: p, scale, a } = basis;
  out.fill(0);
  out[p] = 1;
  let square = 0;
  for (let i = 0; i < d; i++) square += embedding[i]! * embedding[i]!;
  const norm = Math.sqrt(square);
  const z = new Float64Array(r);
  for (let k = 0; k < r; k++) {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += a[k * d + i]! * embedding[i]!;
    z[k] = sum * (scale / norm);
  }
  let row = 0;
  for (let i = 0; i < d; i++) {
    const xi = embedding[i]! / norm;
    for (let k = 0; k < r; k++, row += p) {
      const weight = xi * z[k]!;
      for (let j = 0; j < p; j++) out[j]! += weight * projection[row + j]!;
    }
  }
}

/**
 * B after the rewards of some events, each predicted before it is learned: the arithmetic of an
 * update as it was written first.
 */
export function referenceEvents(
  start: Statistics,
  basis: Basis,
  prior: PreparedPrior,
  events: readonly (readonly { readonly embedding: Float32Array; readonly reward: number }[])[],
): Float32Array {
  let statistics = start;
  const psi = new Float64Array(basis.projectionDim + 1);
  for (const rewards of events) {
    statistics = copyStatistics(statistics);
    const mean = posteriorMean(statistics, prior);
    for (const { embedding, reward } of rewards) {
      referenceFeatures(basis, embedding, psi);
      const predicted = prior.meanReward + dot(psi, mean);
      if (!Number.isFinite(predicted)) throw new Error('a prediction is not finite');
      statistics = addReward(statistics, psi, reward, 0);
    }
  }
  return referenceTaste(basis.projection, basis.projectionDim, posteriorMean(statistics, prior));
}
