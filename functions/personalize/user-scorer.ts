import { type Catalogue, type CatalogueReader, placeOf } from '../../shared/catalogue/catalogue-reader.ts';
import type { LinearScorer } from '../../shared/catalogue/scan.ts';
import { userPart } from '../../shared/lora/forward.ts';
import { coefficientsFor, drawsFor } from '../../shared/lora/learner.ts';
import { itemPartOfKey, type PopulationModel } from '../../shared/population/population-model.ts';
import type { ServedUser } from '../../shared/serving/served-user.ts';

/**
 * Scores items of the catalogue for a user, equal up to rounding to the scores of `personalize` for
 * candidates.
 */
export interface UserScorer extends LinearScorer {
  /** The items' own part of `effects`. */
  readonly itemParts: readonly Float64Array[] | null;
  /** The mean reward. `base` adds the user's offset to it. */
  readonly meanReward: number;
  /** The same with coefficients drawn from their posterior, when scores are linear in ψ. */
  readonly draw?: (normal: () => number) => UserScorer;
}

/**
 * Effects of all items of a catalogue, cached while neither it nor the population model changes.
 */
const knownItemParts = new WeakMap<Catalogue, { population: PopulationModel; parts: Float64Array[] }>();

/**
 * The user's part is ψ·m, from the features in memory. For the learner `sgd`, and for users with
 * target embeddings, it is not linear in ψ. Every item is then scored from its embedding, which
 * takes longer.
 * @throws UnavailableError, CorruptObjectError
 */
export async function userScorer(
  { source, lora, shared, adapter }: ServedUser,
  catalogue: Catalogue,
  reader: CatalogueReader,
): Promise<UserScorer> {
  const { population, model } = shared;
  const meanReward = model.choice ? 0 : model.prior.meanReward;
  const itemParts = itemPartsOf(catalogue, population);
  const known = { meanReward, itemParts };
  if (lora.basis === null)
    return { ...known, base: meanReward + lora.offset, coefficients: null, effects: itemParts };
  const state = source === 'adapter' ? adapter?.state : undefined;
  const m = coefficientsFor(state, model);
  if (m !== null) {
    const linear = (drawn: Float64Array): UserScorer => {
      const base = meanReward + drawn.at(-1)!;
      return { ...known, base, coefficients: drawn.subarray(0, -1), effects: itemParts };
    };
    let draws: ReturnType<typeof drawsFor>;
    return {
      ...linear(m),
      draw: (normal) => {
        draws ??= drawsFor(state, model)!;
        return linear(draws(normal));
      },
    };
  }
  const effects: Float64Array[] = [];
  for (const shard of catalogue.shards.keys()) {
    const rows = await reader.embeddingsOf(catalogue, shard);
    effects.push(
      Float64Array.from(
        rows,
        (embedding, row) =>
          (itemParts?.[shard]?.[row] ?? 0) + userPart(lora, Float32Array.from(embedding)) - lora.offset,
      ),
    );
  }
  return { ...known, base: meanReward + lora.offset, coefficients: null, effects };
}

function itemPartsOf(catalogue: Catalogue, population: PopulationModel): readonly Float64Array[] | null {
  if (population.items.sums.size === 0) return null;
  const known = knownItemParts.get(catalogue);
  if (known?.population.items === population.items && known.population.choice === population.choice)
    return known.parts;
  const parts = catalogue.shards.map(({ keys }) => new Float64Array(keys.length));
  for (const key of population.items.sums.keys()) {
    const place = placeOf(catalogue, key);
    if (place !== undefined) parts[place.shard]![place.row] = itemPartOfKey(population, key);
  }
  knownItemParts.set(catalogue, { population, parts });
  return parts;
}
