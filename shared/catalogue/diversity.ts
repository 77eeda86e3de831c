import { valueAt } from './attribute-columns.ts';
import type { Catalogue } from './catalogue-reader.ts';
import type { Ranked } from './scan.ts';
import { columnsIn } from './selection.ts';

/** At most `count` items of the answer share a value, or an entry of a list, of an attribute. */
export interface ValueCap {
  readonly attribute: string;
  readonly count: number;
}

export interface DiversityOptions {
  readonly limit: number;
  /** λ, from 0 (by score alone) to 1 (as different from each other as the pool allows). */
  readonly diversity: number;
  readonly cap?: ValueCap | undefined;
}

/**
 * Chooses from a pool by maximal marginal relevance (Carbonell & Goldstein 1998): repeatedly the
 * item with the largest (1 − λ)·relevance − λ·(largest cosine to a chosen item), where relevance is
 * the score scaled to [0, 1] over the pool. Items over the cap are skipped.
 * @param pool by descending score
 * @param embeddings of the pool, of unit length; needed when λ > 0
 */
export function chooseDiverse(
  catalogue: Pick<Catalogue, 'shards'>,
  pool: readonly Ranked[],
  embeddings: readonly ArrayLike<number>[],
  { limit, diversity, cap }: DiversityOptions,
): Ranked[] {
  const highest = pool[0]?.score ?? 0;
  const range = highest - (pool.at(-1)?.score ?? 0);
  const nearest = new Float64Array(pool.length);
  const left = new Set(pool.keys());
  const used = new Map<unknown, number>();
  const chosen: Ranked[] = [];
  while (chosen.length < limit && left.size > 0) {
    let best = -1;
    let bestValue = Number.NEGATIVE_INFINITY;
    for (const i of left) {
      const relevance = range === 0 ? 1 : 1 - (highest - pool[i]!.score) / range;
      const value = (1 - diversity) * relevance - diversity * nearest[i]!;
      if (value <= bestValue) continue;
      best = i;
      bestValue = value;
      // The pool is ordered by descending score.
      if (diversity === 0) break;
    }
    left.delete(best);
    const item = pool[best]!;
    if (cap !== undefined) {
      const values = valuesOf(catalogue, item, cap.attribute);
      if (values.some((value) => (used.get(value) ?? 0) >= cap.count)) continue;
      for (const value of values) used.set(value, (used.get(value) ?? 0) + 1);
    }
    chosen.push(item);
    if (diversity === 0) continue;
    for (const i of left) {
      const similarity = cosine(embeddings[best]!, embeddings[i]!);
      if (chosen.length === 1 || similarity > nearest[i]!) nearest[i] = similarity;
    }
  }
  return chosen;
}

function valuesOf(catalogue: Pick<Catalogue, 'shards'>, { shard, row }: Ranked, name: string): unknown[] {
  const value = valueAt(columnsIn(catalogue.shards[shard]!), name, row);
  if (value === undefined) return [];
  return Array.isArray(value) ? [...new Set(value)] : [value];
}

/** ⟨x, y⟩ of two vectors of unit length, up to float16. */
export function cosine(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}
