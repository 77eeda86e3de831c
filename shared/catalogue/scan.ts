import { approximate } from './approximate-scan.ts';
import { Candidates } from './candidates.ts';
import type { Catalogue, Place } from './catalogue-reader.ts';
import { type ScanKernel, scanKernel } from './scan-kernel.ts';
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
 * By shard, a byte per row: 1 for items that may be in the answer. Null admits all items of a
 * shard.
 */
export type Selection = readonly (Uint8Array | null)[];

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
  catalogue.shards.forEach(({ keys, features }, shard) => {
    const { coefficients } = scorer;
    const effects = scorer.effects?.[shard];
    const selected = selection[shard] ?? null;
    if (coefficients !== null && features !== null) {
      const approximation = approximate(kernel, features, weightsOf(coefficients, features.scales));
      if (approximation !== undefined) {
        candidates.offer(shard, approximation, scorer.base, effects, selected);
        return;
      }
    }
    const scores = new Float64Array(keys.length);
    if (effects === undefined) scores.fill(scorer.base);
    else for (let row = 0; row < scores.length; row++) scores[row] = scorer.base + effects[row]!;
    if (coefficients !== null && features !== null)
      addProducts(features.values, weightsOf(coefficients, features.scales), scores);
    best.offer(shard, scores, selected);
  });
  for (const place of candidates.left()) best.add({ ...place, score: scoreAt(catalogue, scorer, place) });
  return best.ranked();
}

/** The score of one item, bit-identical to {@link topItems}. */
export function scoreAt(
  catalogue: Pick<Catalogue, 'shards'>,
  scorer: LinearScorer,
  { shard, row }: Place,
): number {
  const { features } = catalogue.shards[shard]!;
  const scores = Float64Array.of(scorer.base + (scorer.effects?.[shard]?.[row] ?? 0));
  if (scorer.coefficients !== null && features !== null) {
    const p = features.scales.length;
    const values = features.values.subarray(row * p, (row + 1) * p);
    addProducts(values, weightsOf(scorer.coefficients, features.scales), scores);
  }
  return scores[0]!;
}

function weightsOf(coefficients: Float64Array, scales: Float64Array): Float64Array {
  return scales.map((scale, j) => scale * coefficients[j]!);
}

/**
 * scores[i] += values[i]·w, four rows at a time, which share the loads of w. Each row keeps one sum
 * in the order of its columns, so that its result does not depend on the other rows.
 */
function addProducts(values: Int16Array, w: Float64Array, scores: Float64Array): void {
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
  for (; row < scores.length; row++) {
    let sum = 0;
    for (let j = 0, at = row * p; j < p; j++, at++) sum += w[j]! * values[at]!;
    scores[row]! += sum;
  }
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

  offer(shard: number, scores: Float64Array, selected: Uint8Array | null): void {
    let floor = this.#heap.length < this.#limit ? Number.NEGATIVE_INFINITY : this.#heap[0]!.score;
    for (let row = 0; row < scores.length; row++) {
      const score = scores[row]!;
      if (score < floor || (selected !== null && selected[row] === 0)) continue;
      this.add({ shard, row, score });
      if (this.#heap.length === this.#limit) floor = this.#heap[0]!.score;
    }
  }

  ranked(): Ranked[] {
    return this.#heap
      .toSorted((a, b) => this.#compare(a, b))
      .map((item) => ({ ...item, itemId: itemIdAt(this.#catalogue.shards[item.shard]!, item.row) }));
  }

  add(item: Place & { readonly score: number }): void {
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

  /** Negative where `a` comes before `b` in the answer. */
  #compare(a: Place & { score: number }, b: Place & { score: number }): number {
    return b.score - a.score || Buffer.compare(this.#idBytes(a), this.#idBytes(b));
  }

  #idBytes({ shard, row }: Place): Uint8Array {
    const { idBytes, idEnds } = this.#catalogue.shards[shard]!;
    return idBytes.subarray(row === 0 ? 0 : idEnds[row - 1]!, idEnds[row]!);
  }
}
