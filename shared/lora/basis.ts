import { createHash } from 'node:crypto';
import { InvalidInputError, shown } from '../errors.ts';
import { leadingEigenvectors, orthonormalizeRows } from './eigen.ts';
import { type FeatureMoments, momentsOfItems } from './feature-moments.ts';
import { type FeaturesKernel, featuresKernel, type Precision, phiOf, projectPhi } from './features-kernel.ts';
import { createRandom } from './random.ts';

/** The down-projection of a LoRA adapter: z = s·A·x. */
export interface DownProjection {
  /** d, length of the embeddings. */
  readonly embeddingDim: number;
  /** r, rows of A. */
  readonly rank: number;
  /** s = scalingFactor / rank. */
  readonly scale: number;
  /** A, r×d, row-major. */
  readonly a: Float32Array;
}

/** Sizes of an adapter. */
export type AdapterShape = Omit<DownProjection, 'a'>;

/**
 * What all adapters of a deployment share: the frozen LoRA matrix A, whose rows are the leading
 * uncentred principal directions of the item embeddings, and the projection Π of the features.
 *
 * For an item x of unit length and z = A·x, the adapter adds s·⟨x, B·z⟩ to the score. That is
 * linear in B: φ·vec(B) with the feature φ = s·vec(x ⊗ z) of length d·r. One user's ratings cannot
 * determine that many coefficients, so B is confined to the span of Π (d·r × p), the leading
 * directions of φ over the catalogue: B = unvec(Π·m), φ·vec(B) = (Πᵀφ)·m.
 */
export interface Basis extends DownProjection {
  /** Hash of the content. Adapters refer to their basis by it. */
  readonly id: string;
  /** Π, (d·r)×p, row-major; row i·r + k belongs to B[i][k]. */
  readonly projection: Float32Array;
  /** p, at most 64. */
  readonly projectionDim: number;
  /**
   * Moments of the features of the items that the basis was computed from. Random bases and bases
   * of earlier versions have none.
   */
  readonly moments?: FeatureMoments | undefined;
}

export interface BasisOptions {
  rank: number;
  scalingFactor: number;
  seed: number | string;
}

/** Most columns of Π; fewer when d·r is smaller. */
export const MAX_PROJECTION_DIM = 64;
/** Largest d·r with features. A larger adapter has no basis. */
export const MAX_FEATURES = 16_384;
/** Most embeddings to compute a basis from, sampled evenly; more did not change results. */
export const MAX_SAMPLE = 2_000;
/** Most of these to compute the moments from: eight per coefficient. */
const MAX_MOMENTS_SAMPLE = 512;

/** Number of coefficients P: the p of the basis plus the user's offset. Without a basis, 1. */
export function coefficientCount(basis: Basis | null): number {
  return (basis?.projectionDim ?? 0) + 1;
}

/**
 * Computes a basis from item embeddings, without feedback. Zero vectors are skipped.
 * @param embeddings item embeddings, each of length d
 * @throws InvalidInputError when all embeddings are zero, lengths differ, or a number is not finite
 */
export function basisFromEmbeddings(embeddings: readonly Float32Array[], options: BasisOptions): Basis {
  const random = createRandom(`basis ${options.seed}`);
  const d = embeddings[0]?.length ?? 0;
  const sample = sampleOfUnitVectors(embeddings, d);
  if (sample.length === 0) {
    throw new InvalidInputError(
      'embeddings',
      `${embeddings.length} without a direction`,
      'at least one non-zero vector',
    );
  }
  const scale = options.scalingFactor / options.rank;
  const directions = leadingEigenvectors(
    (v, out) => {
      out.fill(0);
      for (const x of sample) {
        const share = product(x, v);
        for (let i = 0; i < d; i++) out[i]! += share * x[i]!;
      }
    },
    d,
    options.rank,
    random,
  );
  const a = Float32Array.from(directions.values);
  const latent = sample.map((x) => project(a, x, options.rank));
  const basis = createBasis({
    embeddingDim: d,
    rank: options.rank,
    scale,
    a,
    projection: leadingFeatures(sample, latent, Math.min(MAX_PROJECTION_DIM, d * options.rank), random),
  });
  return { ...basis, moments: momentsOfSample(basis, sample) };
}

function momentsOfSample(basis: Basis, sample: readonly ArrayLike<number>[]): FeatureMoments {
  const items = sampleEvenly(sample, MAX_MOMENTS_SAMPLE);
  return momentsOfItems(
    items.map((x) => {
      const psi = new Float64Array(coefficientCount(basis));
      features(basis, x, psi);
      return psi;
    }),
  );
}

/**
 * A seeded random basis, for when no embeddings are known: A has random orthonormal rows a_k. It
 * works for any embeddings, but learns less than a basis of the catalogue, because its coefficients
 * cover fewer real tastes.
 *
 * Π holds the leading eigenvectors of Σφφᵀ for items in uniformly random directions: the products
 * of two rows of A, symmetrised, then the products of a row of A with a direction outside A.
 */
export function randomBasis(embeddingDim: number, { rank, scalingFactor, seed }: BasisOptions): Basis {
  const d = embeddingDim;
  const inside = Math.min(rank, d);
  const p = Math.min(MAX_PROJECTION_DIM, (inside * (inside + 1)) / 2 + inside * (d - inside));
  const outside = Math.min(d - inside, Math.ceil(p / inside));
  const random = createRandom(`random basis ${seed}`);
  const frame = Array.from({ length: inside + outside }, () =>
    Float64Array.from({ length: d }, () => random.normal()),
  );
  orthonormalizeRows(frame, random);
  const a = new Float32Array(rank * d);
  for (let k = 0; k < inside; k++) a.set(frame[k]!, k * d);

  const projection = new Float32Array(d * rank * p);
  let column = 0;
  const add = (direction: Float64Array, k: number, weight: number) => {
    for (let i = 0; i < d; i++) projection[(i * rank + k) * p + column]! += weight * direction[i]!;
  };
  for (let k = 0; k < inside; k++) {
    for (let j = 0; j <= k && column < p; j++, column++) {
      add(frame[j]!, k, j === k ? 1 : Math.SQRT1_2);
      if (j < k) add(frame[k]!, j, Math.SQRT1_2);
    }
  }
  for (let n = inside; n < frame.length; n++) {
    for (let k = 0; k < inside && column < p; k++, column++) add(frame[n]!, k, 1);
  }
  return createBasis({ embeddingDim, rank, scale: scalingFactor / rank, a, projection });
}

/**
 * Adds the id to a basis.
 * @throws InvalidInputError when sizes do not match
 */
export function createBasis(parts: Omit<Basis, 'id' | 'projectionDim'>): Basis {
  const { embeddingDim, rank, scale, a, projection } = parts;
  if (!(Number.isInteger(rank) && rank >= 1 && rank <= 64)) {
    throw new InvalidInputError('basis.rank', shown(rank), 'an integer from 1 to 64');
  }
  if (rank * embeddingDim > MAX_FEATURES) {
    throw new InvalidInputError(
      'basis',
      `rank × embeddingDim of ${rank * embeddingDim}`,
      `at most ${MAX_FEATURES}`,
    );
  }
  const projectionDim = projection.length / (embeddingDim * rank);
  if (a.length !== rank * embeddingDim || !Number.isInteger(projectionDim) || projectionDim < 1) {
    throw new InvalidInputError(
      'basis',
      `A of ${a.length} and Π of ${projection.length} numbers`,
      `A of ${rank}×${embeddingDim} and Π of ${embeddingDim * rank}×p`,
    );
  }
  if (!(scale >= 1e-6 && scale <= 1e6)) {
    throw new InvalidInputError('basis.scale', shown(scale), 'a number from 1e-6 to 1e6');
  }
  for (const [field, values] of Object.entries({ a, projection })) {
    if (!Number.isFinite(vectorNorm(values))) {
      throw new InvalidInputError(`basis.${field}`, 'a number that is not finite', 'finite numbers');
    }
  }
  const hash = createHash('sha256').update(`${embeddingDim} ${rank} ${scale}`);
  for (const values of [a, projection])
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const id = hash.digest('hex').slice(0, 16);
  return { ...parts, id, projectionDim };
}

/**
 * Writes ψ = [Πᵀφ ; 1] of an item into `out`.
 * @param embedding x, length d; it is scaled to unit length
 * @param out length P = p + 1, overwritten; for a zero vector everything but the offset is zero
 * @param precision what sums are added in; default float64, which learned states need. In float32
 * they are off by about a millionth, and take half the time
 */
export function features(
  basis: Basis | null,
  embedding: ArrayLike<number>,
  out: Float64Array,
  precision: Precision = 'float64',
  kernel: FeaturesKernel | null = featuresKernel,
): void {
  out.fill(0);
  out[out.length - 1] = 1;
  if (basis === null) return;
  const { embeddingDim: d, rank: r, projection, projectionDim: p } = basis;
  const norm = vectorNorm(embedding);
  if (norm === 0) return;
  const z = project(basis.a, embedding, r);
  for (let k = 0; k < r; k++) z[k]! *= basis.scale / norm;
  const phi = phiOf(p, d * r, kernel);
  for (let i = 0, at = 0; i < d; i++) {
    const xi = embedding[i]! / norm;
    for (let k = 0; k < r; k++, at++) phi[at] = xi * z[k]!;
  }
  projectPhi(projection, p, d * r, out, precision, kernel);
}

/** z = A·x, length r. */
export function project(a: Float32Array, x: ArrayLike<number>, rank: number): Float64Array {
  const d = x.length;
  const z = new Float64Array(rank);
  let k = 0;
  // Four sums do not wait for each other; each adds its products in the order of x.
  for (; k + 4 <= rank; k += 4) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0, at = k * d; i < d; i++, at++) {
      const xi = x[i]!;
      s0 += a[at]! * xi;
      s1 += a[at + d]! * xi;
      s2 += a[at + 2 * d]! * xi;
      s3 += a[at + 3 * d]! * xi;
    }
    z.set([s0, s1, s2, s3], k);
  }
  for (; k < rank; k++) {
    let sum = 0;
    for (let i = 0, at = k * d; i < d; i++, at++) sum += a[at]! * x[i]!;
    z[k] = sum;
  }
  return z;
}

/** At most `count` of the values, evenly spaced. */
export function sampleEvenly<T>(values: readonly T[], count: number): T[] {
  const stride = Math.max(1, values.length / count);
  return Array.from({ length: Math.min(count, values.length) }, (_, i) => values[Math.floor(i * stride)]!);
}

export function vectorNorm(x: ArrayLike<number>): number {
  let square = 0;
  for (let i = 0; i < x.length; i++) square += x[i]! * x[i]!;
  return Math.sqrt(square);
}

function sampleOfUnitVectors(embeddings: readonly Float32Array[], d: number): Float64Array[] {
  const sample: Float64Array[] = [];
  for (const index of sampleEvenly([...embeddings.keys()], MAX_SAMPLE)) {
    const x = embeddings[index]!;
    if (x.length !== d)
      throw new InvalidInputError(`embeddings[${index}]`, `length ${x.length}`, `length ${d}`);
    const norm = vectorNorm(x);
    if (!Number.isFinite(norm))
      throw new InvalidInputError(`embeddings[${index}]`, 'a number that is not finite', 'finite numbers');
    if (norm > 0) sample.push(Float64Array.from(x, (value) => value / norm));
  }
  return sample;
}

/**
 * Π: the p leading eigenvectors of Σφφᵀ, where φ = vec(x ⊗ z). With fewer items than features it
 * uses the items' Gram matrix, ⟨φᵢ, φⱼ⟩ = ⟨xᵢ, xⱼ⟩⟨zᵢ, zⱼ⟩ (method of snapshots; Sirovich 1987).
 * Directions beyond the rank of the sample are zero.
 */
function leadingFeatures(
  sample: readonly Float64Array[],
  latent: readonly Float64Array[],
  p: number,
  random: ReturnType<typeof createRandom>,
): Float32Array {
  const d = sample[0]!.length;
  const r = latent[0]!.length;
  const size = d * r;
  const projection = new Float32Array(size * p);
  if (size <= sample.length) {
    const moment = new Float64Array(size * size);
    const phi = new Float64Array(size);
    sample.forEach((x, n) => {
      outer(x, latent[n]!, phi);
      for (let i = 0; i < size; i++) {
        const weight = phi[i]!;
        if (weight === 0) continue;
        for (let j = 0, row = i * size; j < size; j++) moment[row + j]! += weight * phi[j]!;
      }
    });
    const vectors = leadingEigenvectors(denseOperator(moment, size), size, p, random).values;
    for (let j = 0; j < p; j++) for (let i = 0; i < size; i++) projection[i * p + j] = vectors[j * size + i]!;
    return projection;
  }
  const n = sample.length;
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      const value = product(sample[i]!, sample[j]!) * product(latent[i]!, latent[j]!);
      gram[i * n + j] = value;
      gram[j * n + i] = value;
    }
  const count = Math.min(p, n);
  const vectors = leadingEigenvectors(denseOperator(gram, n), n, count, random).values;
  const phi = new Float64Array(size);
  const direction = Array.from({ length: count }, () => new Float64Array(size));
  sample.forEach((x, item) => {
    outer(x, latent[item]!, phi);
    for (let j = 0; j < count; j++) {
      const weight = vectors[j * n + item]!;
      const row = direction[j]!;
      for (let i = 0; i < size; i++) row[i]! += weight * phi[i]!;
    }
  });
  const longest = vectorNorm(direction[0]!);
  direction.forEach((row, j) => {
    const norm = vectorNorm(row);
    if (norm > 1e-6 * longest) for (let i = 0; i < size; i++) projection[i * p + j] = row[i]! / norm;
  });
  return projection;
}

function denseOperator(matrix: Float64Array, n: number): (v: Float64Array, out: Float64Array) => void {
  return (v, out) => {
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0, row = i * n; j < n; j++) sum += matrix[row + j]! * v[j]!;
      out[i] = sum;
    }
  };
}

function outer(x: Float64Array, z: Float64Array, out: Float64Array): void {
  const r = z.length;
  for (let i = 0; i < x.length; i++) for (let k = 0; k < r; k++) out[i * r + k] = x[i]! * z[k]!;
}

function product(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/**
 * The share of one A's directions that lies within another's, from 0 to 1: the mean squared cosine
 * of the principal angles between their row spaces (Björck & Golub 1973). Both must have
 * orthonormal rows and the same shape.
 */
export function sharedDirections(from: DownProjection, to: DownProjection): number {
  let sum = 0;
  for (let row = 0; row < from.rank; row++) {
    const direction = from.a.subarray(row * from.embeddingDim, (row + 1) * from.embeddingDim);
    for (const cosine of project(to.a, direction, to.rank)) sum += cosine * cosine;
  }
  return sum / from.rank;
}
