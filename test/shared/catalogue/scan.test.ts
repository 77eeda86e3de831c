import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Catalogue, CatalogueReader, placeOfItem } from '../../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../../shared/catalogue/catalogue-writer.ts';
import { featuresOf } from '../../../shared/catalogue/features.ts';
import { parseFilter } from '../../../shared/catalogue/filter.ts';
import type { CatalogueItem } from '../../../shared/catalogue/item.ts';
import { exactScores, type LinearScorer, topItems } from '../../../shared/catalogue/scan.ts';
import { select } from '../../../shared/catalogue/selection.ts';
import { itemIdAt } from '../../../shared/catalogue/shard.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import { type Basis, features } from '../../../shared/lora/basis.ts';
import { basisOf, CATALOGUE_SETTINGS, randomItems } from '../../support/catalogue.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const items = randomItems(501, 'scan');
const basis = basisOf(items);
const p = basis.projectionDim;
/** Of 64 columns, which the kernel scans. */
const wide = basisOf(items, 4);
let catalogue: Catalogue;
let wideCatalogue: Catalogue;

async function loaded(list: readonly CatalogueItem[], basis: Basis): Promise<Catalogue> {
  const objects = new MemoryObjects();
  await new CatalogueWriter(objects, CATALOGUE_SETTINGS, { basis, now: () => 0 }).put(list);
  return (await new CatalogueReader(objects, CATALOGUE_SETTINGS).load(basis))!;
}

beforeAll(async () => {
  catalogue = await loaded(items, basis);
  wideCatalogue = await loaded(items, wide);
});

/**
 * Items with the features that the catalogue stores for them, decoded from the objects and not from
 * the memory of the scan.
 */
function storedFeatures(catalogue: Catalogue, basis: Basis): Map<string, Float64Array> {
  const p = basis.projectionDim;
  const byId = new Map(items.map((item) => [item.itemId, item]));
  return new Map(
    catalogue.shards.flatMap((shard) => {
      const ids = Array.from(shard.keys, (_, row) => itemIdAt(shard, row));
      const embeddings = new Float16Array(ids.flatMap((id) => [...byId.get(id)!.embedding]));
      const { values, scales } = featuresOf(basis, embeddings);
      return ids.map((id, row): [string, Float64Array] => [
        id,
        Float64Array.from(scales, (scale, j) => scale * values[row * p + j]!),
      ]);
    }),
  );
}

/** Every admitted item scored in float64 from its features, and sorted. */
function bruteForce(
  basis: Basis,
  m: readonly number[],
  admitted: readonly CatalogueItem[],
  base: number,
): Map<string, number> {
  const psi = new Float64Array(m.length + 1);
  const scored = admitted.map(({ itemId, embedding }): [string, number] => {
    features(basis, Float64Array.from(embedding), psi);
    return [itemId, m.reduce((sum, weight, j) => sum + weight * psi[j]!, base)];
  });
  return new Map(scored.sort(([, a], [, b]) => b - a));
}

const placeIn = (itemId: string): [number, number] => {
  const { shard, row } = placeOfItem(catalogue, itemId)!;
  return [shard, row];
};
const coefficient = fc.double({ min: -5, max: 5, noNaN: true });

describe('the scan', () => {
  test.each([
    [32, () => ({ catalogue, basis })],
    [64, () => ({ catalogue: wideCatalogue, basis: wide })],
  ])(
    'gives the same items as brute force over %d float64 features, for any user, filter, exclusions and limit',
    (p, of) => {
      const { catalogue, basis } = of();
      expect(basis.projectionDim).toBe(p);
      const largest = Math.max(...catalogue.shards.flatMap(({ features }) => [...features!.scales]));
      const stored = storedFeatures(catalogue, basis);
      fc.assert(
        fc.property(
          fc.array(coefficient, { minLength: p, maxLength: p }),
          fc.subarray(['comedy', 'drama', 'horror'], { minLength: 1 }),
          fc.integer({ min: 1980, max: 2019 }),
          fc.uniqueArray(fc.nat(500), { maxLength: 60 }),
          fc.integer({ min: 1, max: 120 }),
          (m, genres, year, excluded, limit) => {
            const filter = {
              all: [
                { attribute: 'genre', in: genres },
                { attribute: 'year', gte: year },
              ],
            };
            const { selection, count } = select(catalogue, {
              filter: parseFilter(filter),
              exclude: excluded.map((i) => itemKey(`item-${i}`)),
              now: 0,
            });
            const admitted = items.filter(
              (item, i) =>
                genres.includes(item.attributes.genre as string) &&
                (item.attributes.year as number) >= year &&
                !excluded.includes(i),
            );
            expect(count).toBe(admitted.length);
            const scorer = { base: 0.5, coefficients: Float64Array.from(m), effects: null };
            const found = topItems(catalogue, scorer, selection, limit);
            const ofStored = admitted.map(({ itemId }): [string, number] => [
              itemId,
              0.5 + m.reduce((sum, weight, j) => sum + weight * stored.get(itemId)![j]!, 0),
            ]);
            ofStored.sort(([idA, a], [idB, b]) => b - a || (idA < idB ? -1 : 1));
            found.forEach(({ itemId, score }, rank) => {
              const [id, exact] = ofStored[rank]!;
              expect(Math.abs(score - exact)).toBeLessThan(1e-12);
              // Scores that differ by no more than float64 rounds may be in either order.
              const next = ofStored.find(([other]) => other === itemId)![1];
              expect(itemId === id || Math.abs(next - exact) < 1e-12).toBe(true);
            });
            const expected = bruteForce(basis, m, admitted, 0.5);
            // What 16 bits a number can change.
            const error = m.reduce((sum, weight) => sum + Math.abs(weight) * largest, 1e-12);
            const best = [...expected.values()];
            expect(found).toHaveLength(Math.min(limit, admitted.length));
            found.forEach(({ itemId, score }, rank) => {
              expect(Math.abs(score - expected.get(itemId)!)).toBeLessThanOrEqual(error);
              expect(Math.abs(score - best[rank]!)).toBeLessThanOrEqual(error);
            });
          },
        ),
        { numRuns: 1_000 },
      );
    },
  );

  test('gives the order and the numbers of a sort of all scores, to the bit', () => {
    fc.assert(
      fc.property(
        fc.array(coefficient, { minLength: p, maxLength: p }),
        fc.integer({ min: 1, max: 501 }),
        (m, limit) => {
          const scorer: LinearScorer = {
            base: 0.25,
            coefficients: Float64Array.from(m),
            effects: catalogue.shards.map(({ keys }) =>
              Float64Array.from(keys, (key) => Number(key % 7n) / 7),
            ),
          };
          const exactly = exactScores(catalogue, scorer);
          const all = items
            .map(({ itemId }) => ({
              itemId,
              score: exactly(...placeIn(itemId)),
            }))
            .sort((a, b) => b.score - a.score || (a.itemId < b.itemId ? -1 : 1));
          const found = topItems(catalogue, scorer, [], limit).map(({ itemId, score }) => ({
            itemId,
            score,
          }));
          expect(found).toEqual(all.slice(0, limit));
        },
      ),
      { numRuns: 100 },
    );
  });

  test('orders equal scores by id', () => {
    const ids = items.map(({ itemId }) => itemId).sort();
    const all = { base: 1, coefficients: null, effects: null };
    for (const limit of [1, 7, 501, 600]) {
      expect(topItems(catalogue, all, [], limit).map(({ itemId }) => itemId)).toEqual(ids.slice(0, limit));
    }
  });

  test('finds nothing for a limit of 0 or an empty selection', () => {
    const scorer = { base: 1, coefficients: null, effects: null };
    expect(topItems(catalogue, scorer, [], 0)).toEqual([]);
    const nothing = catalogue.shards.map(({ keys }) => ({
      admitted: new Uint8Array(keys.length),
      excluded: null,
    }));
    expect(topItems(catalogue, scorer, nothing, 5)).toEqual([]);
  });

  test('excludes items before and after their time of availability', async () => {
    const limited = items.slice(0, 4).map((item, i) => ({
      ...item,
      ...(i === 1 ? { availableFrom: 100 } : {}),
      ...(i === 2 ? { availableUntil: 100 } : {}),
    }));
    const some = await loaded(limited, basis);
    const at = (now: number) => {
      const { selection } = select(some, { exclude: [], now });
      return topItems(some, { base: 0, coefficients: null, effects: null }, selection, 9).map(
        ({ itemId }) => itemId,
      );
    };
    expect(at(99)).toEqual(['item-0', 'item-2', 'item-3']);
    expect(at(100)).toEqual(['item-0', 'item-1', 'item-3']);
  });
});
