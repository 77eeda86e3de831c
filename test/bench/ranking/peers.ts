import { vectorNorm } from '../../../shared/lora/basis.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { cholesky, choleskyInverse, choleskySolve, packedLength } from '../../../shared/lora/symmetric.ts';
import type { History } from './history.ts';
import type { Row } from './rows.ts';

/** How often an item was picked, without any delay. */
export function popularity(): Row {
  return { train() {}, scores: (_, { counts }, out) => out.set(counts) };
}

/**
 * The mean of the embeddings that the user picked, all of unit length and less the mean of the
 * catalogue: what most people do with a vector store. @param popularityWeight of the logarithm of
 * an item's picks
 */
export function likedMean(embeddings: readonly Float32Array[], popularityWeight: number): Row {
  const d = embeddings[0]!.length;
  const units = embeddings.map((x) => {
    const norm = vectorNorm(x);
    return Float64Array.from(x, (value) => (norm > 0 ? value / norm : 0));
  });
  const mean = new Float64Array(d);
  for (const x of units) for (let i = 0; i < d; i++) mean[i]! += x[i]! / units.length;
  const centred = units.map((x) => {
    const y = x.map((value, i) => value - mean[i]!);
    const norm = vectorNorm(y);
    return norm > 1e-9 ? y.map((value) => value / norm) : y.fill(0);
  });
  return {
    train() {},
    scores(user, history, out) {
      const taste = new Float64Array(d);
      for (const item of history.of(user))
        for (let i = 0; i < d; i++) taste[i]! += units[item]![i]! - mean[i]!;
      const norm = vectorNorm(taste);
      for (let item = 0; item < out.length; item++) {
        const x = centred[item]!;
        let sum = 0;
        for (let i = 0; i < d; i++) sum += taste[i]! * x[i]!;
        out[item] =
          (norm > 0 ? sum / norm : 0) +
          (popularityWeight === 0 ? 0 : popularityWeight * Math.log(history.counts[item]! + 0.5));
      }
    },
  };
}

/** Sparse rows: the users who picked each item, as positions among the training users. */
function pickers(history: History): { users: number; byItem: number[][]; byUser: number[][] } {
  const byItem: number[][] = Array.from({ length: history.itemCount }, () => []);
  const byUser = [...history.picks.values()].map((items) => [...new Set(items)]);
  byUser.forEach((items, user) => {
    for (const item of items) byItem[item]!.push(user);
  });
  return { users: byUser.length, byItem, byUser };
}

/** Cosine between items' columns of picks, damped by a few picks (Deshpande & Karypis 2004). */
export function itemKnn(shrinkage: number): Row {
  let trained: ReturnType<typeof pickers> | undefined;
  return {
    train(history) {
      trained = pickers(history);
    },
    scores(user, history, out) {
      out.fill(0);
      if (trained === undefined) return;
      const { byItem, byUser } = trained;
      const together = new Float64Array(out.length);
      for (const picked of history.of(user)) {
        together.fill(0);
        for (const other of byItem[picked]!) for (const item of byUser[other]!) together[item]! += 1;
        for (let item = 0; item < out.length; item++) {
          if (together[item] === 0 || item === picked) continue;
          out[item]! +=
            together[item]! / (Math.sqrt(byItem[picked]!.length * byItem[item]!.length) + shrinkage);
        }
      }
    },
  };
}

/**
 * EASE^R (Steck 2019): the item-to-item weights without diagonal that predict picks best in least
 * squares. Through the users' Gram matrix, (XᵀX + λI)⁻¹ = (I − Xᵀ(XXᵀ + λI)⁻¹X)/λ, so the score of
 * item j is q·x_j/(1 − h_j) with q = (XXᵀ + λI)⁻¹ Σ x_i over the user's picks, and h_j = x_jᵀ(XXᵀ +
 * λI)⁻¹x_j.
 */
export function ease(lambda: number): Row {
  let trained: { byItem: number[][]; inverse: Float64Array; users: number; rest: Float64Array } | undefined;
  return {
    train(history) {
      const { users, byItem, byUser } = pickers(history);
      const gram = new Float64Array(packedLength(users));
      for (const row of byItem)
        for (const a of row) for (const b of row) if (b <= a) gram[packedLength(a) + b]! += 1;
      byUser.forEach((_, u) => {
        gram[packedLength(u) + u]! += lambda;
      });
      const packed = choleskyInverse(cholesky(gram, users)!, users);
      const inverse = new Float64Array(users * users);
      for (let a = 0; a < users; a++)
        for (let b = 0; b <= a; b++) {
          inverse[a * users + b] = packed[packedLength(a) + b]!;
          inverse[b * users + a] = inverse[a * users + b]!;
        }
      const rest = Float64Array.from(byItem, (row) => {
        let own = 0;
        for (const a of row) for (const b of row) own += inverse[a * users + b]!;
        return 1 - own;
      });
      trained = { byItem, inverse, users, rest };
    },
    scores(user, history, out) {
      out.fill(0);
      if (trained === undefined) return;
      const { byItem, inverse, users, rest } = trained;
      const query = new Float64Array(users);
      for (const picked of history.of(user))
        for (const a of byItem[picked]!) for (let b = 0; b < users; b++) query[b]! += inverse[a * users + b]!;
      for (let item = 0; item < out.length; item++) {
        let sum = 0;
        for (const a of byItem[item]!) sum += query[a]!;
        out[item] = sum / rest[item]!;
      }
    },
  };
}

export interface IalsOptions {
  readonly dim: number;
  /** Weight of items not picked. */
  readonly unobserved: number;
  readonly regularization: number;
  readonly sweeps: number;
}

/**
 * Implicit matrix factorisation by alternating least squares (Hu, Koren & Volinsky 2008), with the
 * loss and the regularisation by frequency of Rendle et al. (2022). A user is folded in with the
 * picks so far.
 */
export function ials({ dim, unobserved, regularization, sweeps }: IalsOptions): Row {
  let itemFactors: Float64Array | undefined;
  let gram = new Float64Array(packedLength(dim));
  let total = 0;
  const gramOf = (factors: Float64Array) => {
    const sum = new Float64Array(packedLength(dim));
    for (let at = 0; at < factors.length; at += dim)
      for (let i = 0, k = 0; i < dim; i++)
        for (let j = 0; j <= i; j++, k++) sum[k]! += factors[at + i]! * factors[at + j]!;
    return sum;
  };
  const solve = (
    others: Float64Array,
    gramOfOthers: Float64Array,
    picked: readonly number[],
    total: number,
  ) => {
    const matrix = gramOfOthers.map((value) => unobserved * value);
    const right = new Float64Array(dim);
    for (const other of picked) {
      const at = other * dim;
      for (let i = 0, k = 0; i < dim; i++) {
        right[i]! += others[at + i]!;
        for (let j = 0; j <= i; j++, k++) matrix[k]! += others[at + i]! * others[at + j]!;
      }
    }
    const ridge = regularization * (picked.length + unobserved * total);
    for (let i = 0; i < dim; i++) matrix[packedLength(i) + i]! += ridge;
    return choleskySolve(cholesky(matrix, dim)!, right);
  };
  return {
    train(history) {
      const { users, byItem, byUser } = pickers(history);
      const random = createRandom('ials');
      const items = history.itemCount;
      const used = byItem.flatMap((row, item) => (row.length > 0 ? [item] : []));
      const factors = new Float64Array(items * dim);
      for (const item of used)
        for (let i = 0; i < dim; i++) factors[item * dim + i] = (0.1 * random.normal()) / Math.sqrt(dim);
      const userFactors = new Float64Array(users * dim);
      for (let sweep = 0; sweep < sweeps; sweep++) {
        const itemGram = gramOf(factors);
        byUser.forEach((picked, user) => {
          userFactors.set(solve(factors, itemGram, picked, used.length), user * dim);
        });
        const userGram = gramOf(userFactors);
        for (const item of used) factors.set(solve(userFactors, userGram, byItem[item]!, users), item * dim);
      }
      itemFactors = factors;
      gram = gramOf(factors);
      total = used.length;
    },
    scores(user, history, out) {
      out.fill(0);
      if (itemFactors === undefined) return;
      const own = solve(itemFactors, gram, history.of(user), total);
      for (let item = 0, at = 0; item < out.length; item++, at += dim) {
        let sum = 0;
        for (let i = 0; i < dim; i++) sum += own[i]! * itemFactors[at + i]!;
        out[item] = sum;
      }
    },
  };
}
