import { userKey } from '../../../shared/config/user-key.ts';
import { basisFromEmbeddings, coefficientCount, features } from '../../../shared/lora/basis.ts';
import { choiceMean, type PreparedChoice } from '../../../shared/lora/choice.ts';
import {
  fitNeighbours,
  mostTelling,
  type Neighbours,
  neighbourGains,
} from '../../../shared/lora/neighbours.ts';
import { addPick, emptyPicks, pickSums } from '../../../shared/lora/picks.ts';
import { initialPriorOf, posteriorMean } from '../../../shared/lora/prior.ts';
import {
  addSittings,
  NO_RECENT_PICKS,
  popularityBy,
  type Sitting,
} from '../../../shared/lora/recent-picks.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import { fitChoice, type SampledPicks } from '../../../shared/population/choice-fit.ts';
import { tryNeighbours } from '../../../shared/population/neighbour-gate.ts';
import { sampleOf } from '../../../shared/population/validation-fold.ts';
import type { Split } from './protocol.ts';
import type { Row } from './rows.ts';

export type FeatureTable = ReturnType<typeof featureTable>;

/** The basis of the items, and their features by item. */
export function featureTable({ embeddings, seed }: Pick<Split, 'embeddings' | 'seed'>) {
  const basis = basisFromEmbeddings(embeddings, { rank: 4, scalingFactor: 1, seed });
  const psi = embeddings.map((x) => {
    const row = new Float64Array(coefficientCount(basis));
    features(basis, x, row);
    return row;
  });
  return { basis, psi };
}

/**
 * Attune on clicks, by the functions that a deployment runs: sums at every event, choice model and
 * popularity at consolidation.
 */
export function choiceRow({ basis, psi }: FeatureTable): Row {
  const size = coefficientCount(basis);
  const users = new Map<string, SampledPicks>();
  const initial = initialPriorOf(basis);
  let choice: PreparedChoice | null = null;
  let neighbours: Neighbours | undefined;
  let popularity = new Float64Array(psi.length);
  let counted = new Float64Array(psi.length);
  let recent = NO_RECENT_PICKS;
  let sittings: Sitting[] = [];
  return {
    learn({ user, items, at }) {
      const key = userKey(`${user}`);
      sittings.push({ userKey: key, at, items: Array.from(items, BigInt) });
      let { statistics, picks } = users.get(key) ?? {
        statistics: emptyStatistics(size),
        picks: emptyPicks(size),
      };
      for (const item of items) {
        statistics = addReward(statistics, psi[item]!, 1, 0);
        picks = addPick(picks, psi[item]!, 1);
      }
      users.delete(key);
      users.set(key, { userKey: key, statistics, picks });
    },
    train({ counts, picks }) {
      const sample = sampleOf([...users.keys()].reverse()).map((key) => users.get(key)!);
      choice = fitChoice(sample, basis.moments, choice);
      const pickers = [...picks].map(([user, items]) => ({
        userKey: userKey(`${user}`),
        picks: BigUint64Array.from(items, BigInt),
      }));
      if (!tryNeighbours(pickers).harmful)
        neighbours = fitNeighbours(mostTelling(pickers.map((user) => user.picks))) ?? neighbours;
      countPicks(counts);
    },
    count({ counts }) {
      countPicks(counts);
    },
    scores(user, history, out) {
      const known = users.get(userKey(`${user}`));
      const m = coefficients(known);
      for (let item = 0; item < out.length; item++) {
        const row = psi[item]!;
        let sum = choice === null ? 0 : Math.log(popularity[item]! + 0.5);
        for (let i = 0; i < size - 1; i++) sum += row[i]! * m[i]!;
        out[item] = sum;
      }
      if (choice === null || neighbours === undefined) return;
      const gains = neighbourGains(neighbours, history.of(user).map(BigInt));
      gains?.forEach((gain, position) => {
        out[Number(neighbours!.keys[position]!)]! += gain;
      });
    },
  };

  function countPicks(counts: Float64Array): void {
    recent = addSittings(recent, sittings, { total: (item) => counted[Number(item)]!, kept: () => true });
    sittings = [];
    counted = counts.slice();
    const total = counted.reduce((sum, count) => sum + count, 0);
    const by = popularityBy(recent, total);
    popularity = counted.map((count, item) => by(BigInt(item), count));
  }

  function coefficients(known: SampledPicks | undefined): Float64Array {
    if (choice !== null)
      return known === undefined
        ? choice.prior.mean
        : choiceMean(pickSums(known.statistics, known.picks, choice.rewards), choice);
    return known === undefined ? initial.mean : posteriorMean(known.statistics, initial);
  }
}
