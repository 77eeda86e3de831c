import { MAX_PROJECTION_DIM } from '../lora/basis.ts';
import { approximate, scanShard, tailOf } from './approximate-scan.ts';
import { Candidates } from './candidates.ts';
import type { Catalogue, Place } from './catalogue-reader.ts';
import { type LoadedFeatures, storedRow } from './loaded-features.ts';
import { type ScanKernel, scanKernel } from './scan-kernel.ts';
import { ALL_ROWS, type SelectedRows, type Selection } from './selected-rows.ts';
import { itemIdAt } from './shard.ts';

/**
 * score(item) = base + effect(item) + ψ(item)·m. The scan needs no more than this, for any model.
 */
export interface LinearScorer {
  readonly base: number;
  /** m without the offset, which is part of `base`. Null when taste does not count. */
  readonly coefficients: Float64Array | null;
  /** The effect of every item, by shard and row; null when all are 0. */
  readonly effects: readonly Float64Array[] | null;
}

/** An item of the answer. */
export interface Ranked extends Place {
  readonly itemId: string;
  readonly score: number;
}

/**
 * The `limit` best items of the selection, by descending score; equal scores in the order of the
 * UTF-8 bytes of the ids. Exact: an item is skipped without a float64 score only when the known
 * error of its approximate score cannot bring it into the answer.
 */
export function topItems(
  catalogue: Pick<Catalogue, 'shards'>,
  scorer: LinearScorer,
  selection: Selection,
  limit: number,
  kernel: ScanKernel | null = scanKernel,
): Ranked[] {
  const best = new BestItems(catalogue, limit);
  if (limit === 0) return [];
  const candidates = new Candidates(limit);
  const { base } = scorer;
  // Without taste all scores are equal, so bounds exclude no item.
  const coefficients = scorer.coefficients?.some((m) => m !== 0) ? scorer.coefficients : null;
  const tail = coefficients === null ? 0 : tailOf(coefficients);
  catalogue.shards.forEach(({ keys, features }, shard) => {
    const effects = scorer.effects?.[shard] ?? null;
    const selected = selection[shard] ?? ALL_ROWS;
    const weights =
      coefficients === null || features === null ? null : weightsOf(coefficients, features.scales);
    if (kernel !== null && weights !== null && features !== null && 'bytes' in features) {
      const approximation = approximate(weights);
      if (approximation !== undefined) {
        scanShard(kernel, approximation, { shard, features, tail, base, effects, selected }, candidates);
        return;
      }
    }
    const scores = new Float64Array(keys.length);
    if (effects === null) scores.fill(base);
    else for (let row = 0; row < scores.length; row++) scores[row] = base + effects[row]!;
    if (weights !== null) addProducts(features!, weights, scores);
    best.offer(shard, scores, selected);
  });
  const exactly = exactScores(catalogue, scorer);
  return best.ranked(candidates.left().map(({ shard, row }) => ({ shard, row, score: exactly(shard, row) })));
}

/** The scores of single items: the same numbers as in {@link topItems}, to the bit. */
export function exactScores(
  catalogue: Pick<Catalogue, 'shards'>,
  { base, coefficients, effects }: LinearScorer,
): (shard: number, row: number) => number {
  const weights: (Float64Array | undefined)[] = [];
  const stored = new Float64Array(MAX_PROJECTION_DIM);
  return (shard, row) => {
    const { features } = catalogue.shards[shard]!;
    const own = base + (effects?.[shard]?.[row] ?? 0);
    if (coefficients === null || features === null) return own;
    weights[shard] ??= weightsOf(coefficients, features.scales);
    storedRow(features, row, stored);
    return own + product(weights[shard], stored);
  };
}

function weightsOf(coefficients: Float64Array, scales: Float64Array): Float64Array {
  const weights = new Float64Array(scales.length);
  for (let j = 0; j < weights.length; j++) weights[j] = scales[j]! * coefficients[j]!;
  return weights;
}

/** In the order of the columns. */
function product(w: Float64Array, values: ArrayLike<number>): number {
  let sum = 0;
  for (let j = 0; j < w.length; j++) sum += w[j]! * values[j]!;
  return sum;
}

/** scores[i] += values[i]·w. */
function addProducts(features: LoadedFeatures, w: Float64Array, scores: Float64Array): void {
  if ('bytes' in features) {
    const stored = new Float64Array(w.length);
    for (let row = 0; row < scores.length; row++) {
      storedRow(features, row, stored);
      scores[row]! += product(w, stored);
    }
  } else addProductsByFours(features.values, w, scores);
}

/**
 * Four rows at a time share the loads of w. Each row keeps one sum in the order of its columns, so
 * its result does not depend on the rows beside it.
 */
function addProductsByFours(values: Int16Array, w: Float64Array, scores: Float64Array): void {
  const p = w.length;
  const fours = scores.length - (scores.length % 4);
  let row = 0;
  for (let at = 0; row < fours; row += 4, at += 3 * p) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = 0; j < p; j++, at++) {
      const weight = w[j]!;
      s0 += weight * values[at]!;
      s1 += weight * values[at + p]!;
      s2 += weight * values[at + 2 * p]!;
      s3 += weight * values[at + 3 * p]!;
    }
    scores[row]! += s0;
    scores[row + 1]! += s1;
    scores[row + 2]! += s2;
    scores[row + 3]! += s3;
  }
  for (; row < scores.length; row++) scores[row]! += product(w, values.subarray(row * p, (row + 1) * p));
}

/** The best items so far, as a heap with the worst on top. */
class BestItems {
  readonly #catalogue: Pick<Catalogue, 'shards'>;
  readonly #limit: number;
  readonly #heap: (Place & { readonly score: number })[] = [];

  constructor(catalogue: Pick<Catalogue, 'shards'>, limit: number) {
    this.#catalogue = catalogue;
    this.#limit = limit;
  }

  offer(shard: number, scores: Float64Array, { admitted, excluded }: SelectedRows): void {
    let floor = this.#heap.length < this.#limit ? Number.NEGATIVE_INFINITY : this.#heap[0]!.score;
    for (let row = 0; row < scores.length; row++) {
      const score = scores[row]!;
      if (score < floor || (admitted !== null && admitted[row] === 0)) continue;
      if (excluded?.has(row)) continue;
      this.#add({ shard, row, score });
      if (this.#heap.length === this.#limit) floor = this.#heap[0]!.score;
    }
  }

  /** @param others items that were not candidates */
  ranked(others: readonly (Place & { readonly score: number })[]): Ranked[] {
    return [...this.#heap, ...others]
      .sort((a, b) => this.#compare(a, b))
      .slice(0, this.#limit)
      .map((item) => ({ ...item, itemId: itemIdAt(this.#catalogue.shards[item.shard]!, item.row) }));
  }

  #add(item: Place & { readonly score: number }): void {
    const heap = this.#heap;
    if (heap.length < this.#limit) {
      heap.push(item);
      for (let child = heap.length - 1; child > 0; ) {
        const parent = (child - 1) >>> 1;
        if (this.#compare(heap[child]!, heap[parent]!) <= 0) return;
        [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
        child = parent;
      }
      return;
    }
    if (this.#compare(item, heap[0]!) >= 0) return;
    heap[0] = item;
    for (let parent = 0; ; ) {
      let child = 2 * parent + 1;
      if (child >= heap.length) return;
      if (child + 1 < heap.length && this.#compare(heap[child + 1]!, heap[child]!) > 0) child++;
      if (this.#compare(heap[child]!, heap[parent]!) <= 0) return;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      parent = child;
    }
  }

  /** Negative when `a` comes before `b` in the answer. */
  #compare(a: Place & { score: number }, b: Place & { score: number }): number {
    return b.score - a.score || Buffer.compare(this.#idBytes(a), this.#idBytes(b));
  }

  #idBytes({ shard, row }: Place): Uint8Array {
    const { idBytes, idEnds } = this.#catalogue.shards[shard]!;
    return idBytes.subarray(row === 0 ? 0 : idEnds[row - 1]!, idEnds[row]!);
  }
}
