import { InvalidInputError } from '../errors.ts';
import { coefficientCount, features } from './basis.ts';
import { adoptBasis, type BayesianState, halved } from './bayesian.ts';
import { addPick, picksOf, recordRank, withdrawRank } from './picks.ts';
import { type LearnedReward, replaceOutcome } from './prequential.ts';
import { copyStatistics } from './statistics.ts';
import { checkInteractions, type Model } from './training.ts';

/**
 * Replaces a reward that was learned. The state is then the one that the other reward would have
 * made at that time, up to rounding: the sums are linear in the reward and its square, and its
 * prediction is known. What was predicted since then stays as it was predicted.
 * @param embedding of the item, the one that was learned
 * @throws InvalidInputError when the embedding has the wrong length or a number is not finite;
 * `state` is unchanged
 */
export function correctReward(
  state: BayesianState,
  model: Model,
  { embedding, learned, reward }: { embedding: Float32Array; learned: LearnedReward; reward: number },
): BayesianState {
  const start = adoptBasis(state, model);
  const { basis } = model;
  const dim = basis?.embeddingDim ?? start.buffered[0]?.embedding.length ?? embedding.length;
  checkInteractions([{ embedding, itemEffect: 0, reward }], dim);
  const psi = new Float64Array(coefficientCount(basis));
  if (psi.length !== start.statistics.moment.length)
    throw new InvalidInputError('state', `${start.statistics.moment.length} coefficients`, `${psi.length}`);
  features(basis, embedding, psi);

  const { known, ranked } = learned;
  const change = reward - learned.reward;
  const statistics = copyStatistics(start.statistics);
  for (let i = 0; i < psi.length; i++) statistics.moment[i]! += change * psi[i]!;
  const squares = (reward - known) ** 2 - (learned.reward - known) ** 2;
  const before = start.picks ?? picksOf(start.statistics);
  const picks = addPick({ ...before, sum: before.sum.slice() }, psi, change);
  let { ranking } = before;
  if (ranked !== null) {
    if (learned.reward >= ranked.least) ranking = withdrawRank(ranking, ranked.percentile);
    if (reward >= ranked.least) ranking = recordRank(ranking, ranked.percentile);
  }
  return {
    ...start,
    statistics: {
      ...statistics,
      // Rounding may leave a sum of squares just below 0.
      sumSquares: Math.max(0, statistics.sumSquares + squares),
      rewardSum: statistics.rewardSum + change,
    },
    picks: {
      ...picks,
      squares: Math.max(0, before.squares + reward ** 2 - learned.reward ** 2),
      ranking,
    },
    buffered: basis === null ? correctBuffered(start.buffered, embedding, learned, reward) : start.buffered,
    record: replaceOutcome(start.record, learned, reward),
  };
}

/** Buffered interactions that are equal in everything can stand for each other. */
function correctBuffered(
  buffered: BayesianState['buffered'],
  embedding: Float32Array,
  learned: LearnedReward,
  reward: number,
): BayesianState['buffered'] {
  const x = halved(embedding, embedding);
  const at = buffered.findLastIndex(
    (interaction) =>
      'reward' in interaction &&
      interaction.reward === learned.reward &&
      interaction.residualReward === learned.reward - learned.known &&
      interaction.embedding.every((value, i) => value === x[i]),
  );
  // It is no longer there when more than 200 have come since.
  if (at === -1) return buffered;
  return buffered.with(at, { embedding: x, residualReward: reward - learned.known, reward });
}
