import { createRandom } from '../../../shared/lora/random.ts';
import type { Contender } from './run.ts';
import type { Batch, Split } from './split.ts';

const RANK = 4;
const LEARNING_RATE = 0.001;
const EWC_LAMBDA = 0.5;
const CLIP = 1;
const FISHER_DECAY = 0.9;
const USER_SHRINKAGE = 20;

/** One user under the seed's algorithm. */
interface SeedAdapter {
  /** A, r×d, and B, d×r, row-major. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly fisherA: Float64Array;
  readonly fisherB: Float64Array;
  sum: number;
  count: number;
}

/**
 * The algorithm that Attune grew from, with its faults: gradients multiplied by 1/s instead of s,
 * elastic weights that pull towards zero, a learning rate of 0.001. Only its targets are centred,
 * x·(1 + r − m_u) instead of x·r, because otherwise its loss is three times larger. It therefore
 * predicts r̂ = ⟨x, y⟩/⟨x, x⟩ − 1 + m_u.
 */
export function seedAlgorithm(
  { items, meanReward }: Pick<Split, 'items' | 'meanReward'>,
  seed: number,
): Contender {
  const d = items.values().next().value!.length;
  const scale = 1 / RANK;
  const adapters = new Map<string, SeedAdapter>();
  const adapterOf = (userId: string) => {
    let adapter = adapters.get(userId);
    if (adapter === undefined) {
      adapter = newAdapter(d, `seed ${seed} ${userId}`);
      adapters.set(userId, adapter);
    }
    return adapter;
  };
  const userMean = ({ sum, count }: SeedAdapter) =>
    (sum + USER_SHRINKAGE * meanReward) / (count + USER_SHRINKAGE);
  const predict = (adapter: SeedAdapter, x: Float32Array) => {
    const y = forward(adapter, x, scale);
    return dot(x, y) / dot(x, x) - 1 + userMean(adapter);
  };
  return {
    async learn({ userId, interactions }: Batch) {
      const adapter = adapterOf(userId);
      const mean = userMean(adapter);
      const batch = interactions.map(({ itemId, reward }) => ({ x: items.get(itemId)!, reward }));
      const loss =
        batch.reduce((sum, { x, reward }) => sum + (reward - predict(adapter, x)) ** 2, 0) / batch.length;
      const gradientA = new Float64Array(RANK * d);
      const gradientB = new Float64Array(d * RANK);
      for (const { x, reward } of batch) {
        const y = forward(adapter, x, scale);
        const z = down(adapter.a, x);
        // e = y − target; dB = (e/s)(Ax)ᵀ, dA = Bᵀ(e/s)xᵀ, averaged.
        const error = Float64Array.from(
          x,
          (xi, i) => (y[i]! - xi * (1 + reward - mean)) / scale / batch.length,
        );
        for (let k = 0; k < RANK; k++) {
          let back = 0;
          for (let i = 0; i < d; i++) {
            gradientB[i * RANK + k]! += error[i]! * z[k]!;
            back += adapter.b[i * RANK + k]! * error[i]!;
          }
          for (let i = 0; i < d; i++) gradientA[k * d + i]! += back * x[i]!;
        }
      }
      step(adapter.a, gradientA, adapter.fisherA);
      step(adapter.b, gradientB, adapter.fisherB);
      for (const { reward } of batch) adapter.sum += reward;
      adapter.count += batch.length;
      return loss;
    },
    scores: async (userId, itemIds) =>
      itemIds.map((itemId) => predict(adapterOf(userId), items.get(itemId)!)),
  };
}

/** A is Xavier-uniform, B zero. */
function newAdapter(d: number, seed: string): SeedAdapter {
  const random = createRandom(seed);
  const limit = Math.sqrt(6 / (d + RANK));
  return {
    a: Float64Array.from({ length: RANK * d }, () => (2 * random.next() - 1) * limit),
    b: new Float64Array(d * RANK),
    fisherA: new Float64Array(RANK * d),
    fisherB: new Float64Array(d * RANK),
    sum: 0,
    count: 0,
  };
}

/**
 * Descends along the gradient with its elastic part, clipped to norm 1, and takes its squares into
 * the Fisher information.
 */
function step(weights: Float64Array, gradient: Float64Array, fisher: Float64Array): void {
  for (let i = 0; i < gradient.length; i++) gradient[i]! += EWC_LAMBDA * fisher[i]! * weights[i]!;
  const norm = Math.sqrt(dot(gradient, gradient));
  const clip = norm > CLIP ? CLIP / norm : 1;
  for (let i = 0; i < gradient.length; i++) {
    const slope = gradient[i]! * clip;
    weights[i]! -= LEARNING_RATE * slope;
    fisher[i] = FISHER_DECAY * fisher[i]! + (1 - FISHER_DECAY) * slope * slope;
  }
}

function down(a: Float64Array, x: Float32Array): Float64Array {
  return Float64Array.from({ length: RANK }, (_, k) => dot(a.subarray(k * x.length, (k + 1) * x.length), x));
}

function forward({ a, b }: SeedAdapter, x: Float32Array, scale: number): Float64Array {
  const z = down(a, x);
  return Float64Array.from(x, (xi, i) => {
    let share = 0;
    for (let k = 0; k < RANK; k++) share += b[i * RANK + k]! * z[k]!;
    return xi + scale * share;
  });
}

function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}
