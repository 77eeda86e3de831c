import {
  type Catalogue,
  type CatalogueReader,
  type Place,
  placeOf,
} from '../../shared/catalogue/catalogue-reader.ts';
import type { LinearScorer } from '../../shared/catalogue/scan.ts';
import { userPart } from '../../shared/lora/forward.ts';
import { coefficientsFor, drawsFor } from '../../shared/lora/learner.ts';
import type { Neighbours } from '../../shared/lora/neighbours.ts';
import { type Gains, gainOf } from '../../shared/population/gains.ts';
import { itemPartOfKey, type PopulationModel } from '../../shared/population/population-model.ts';
import type { ServedUser } from '../../shared/serving/served-user.ts';

/**
 * Scores items of the catalogue for a user, equal up to rounding to the scores of `personalize` for
 * candidates.
 */
export interface UserScorer extends LinearScorer {
  /** `effects` without the gains from picks. */
  readonly itemParts: readonly Float64Array[] | null;
  /** The gain of an item from the user's picks. */
  gainAt(place: Place): number;
  /** The mean reward. `base` is this plus the user's offset. */
  readonly meanReward: number;
  /**
   * The same scorer with coefficients drawn from their posterior; only when scores are linear in ψ.
   */
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
  { source, lora, gains, shared, adapter }: ServedUser,
  catalogue: Catalogue,
  reader: CatalogueReader,
): Promise<UserScorer> {
  const { population, model } = shared;
  const meanReward = model.choice ? 0 : model.prior.meanReward;
  const itemParts = itemPartsOf(catalogue, population);
  const gainAt = (place: Place) => (gains === null ? 0 : gainOf(gains, keyAt(catalogue, place)));
  const known = { meanReward, itemParts, gainAt };
  const own = gains === null ? itemParts : withGains(catalogue, itemParts, gains);
  if (lora.basis === null)
    return { ...known, base: meanReward + lora.offset, coefficients: null, effects: own };
  const state = source === 'adapter' ? adapter?.state : undefined;
  const m = coefficientsFor(state, model);
  if (m !== null) {
    const linear = (drawn: Float64Array): UserScorer => {
      const base = meanReward + drawn.at(-1)!;
      return { ...known, base, coefficients: drawn.subarray(0, -1), effects: own };
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
          (own?.[shard]?.[row] ?? 0) + userPart(lora, Float32Array.from(embedding)) - lora.offset,
      ),
    );
  }
  return { ...known, base: meanReward + lora.offset, coefficients: null, effects };
}

/** Positions of neighbours in a catalogue, cached while neither changes. */
const knownPlaces = new WeakMap<Neighbours, { catalogue: Catalogue; places: (Place | undefined)[] }>();

/** The items' own parts plus their gains from a user's picks; new arrays when there are gains. */
function withGains(
  catalogue: Catalogue,
  itemParts: readonly Float64Array[] | null,
  { neighbours, values }: Gains,
): readonly Float64Array[] {
  const known = knownPlaces.get(neighbours);
  const places =
    known?.catalogue === catalogue
      ? known.places
      : Array.from(neighbours.keys, (key) => placeOf(catalogue, key));
  knownPlaces.set(neighbours, { catalogue, places });
  const sums = catalogue.shards.map(
    ({ keys }, shard) => itemParts?.[shard]?.slice() ?? new Float64Array(keys.length),
  );
  places.forEach((place, position) => {
    if (place !== undefined) sums[place.shard]![place.row]! += values[position]!;
  });
  return sums;
}

function keyAt(catalogue: Catalogue, { shard, row }: Place): bigint {
  return catalogue.shards[shard]!.keys[row]!;
}

function itemPartsOf(catalogue: Catalogue, population: PopulationModel): readonly Float64Array[] | null {
  if (population.items.sums.size === 0) return null;
  const known = knownItemParts.get(catalogue);
  if (known?.population === population) return known.parts;
  const parts = catalogue.shards.map(({ keys }) => new Float64Array(keys.length));
  for (const key of population.items.sums.keys()) {
    const place = placeOf(catalogue, key);
    if (place !== undefined) parts[place.shard]![place.row] = itemPartOfKey(population, key);
  }
  knownItemParts.set(catalogue, { population, parts });
  return parts;
}
