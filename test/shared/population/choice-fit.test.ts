import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { basisFromEmbeddings, coefficientCount, features } from '../../../shared/lora/basis.ts';
import {
  choiceEvidence,
  choiceMean,
  initialChoicePrior,
  prepareChoice,
} from '../../../shared/lora/choice.ts';
import { addPick, emptyPicks, pickSums } from '../../../shared/lora/picks.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import { packedDiagonal } from '../../../shared/lora/symmetric.ts';
import { fitChoice, isBetter, type SampledPicks } from '../../../shared/population/choice-fit.ts';
import { pairedDifference } from '../../../shared/population/intervals.ts';

const ITEMS = 240;
const CLUSTERS = 8;
const USERS = 80;
const NEW_USERS = 60;
const TEMPERING = { perPick: 0.3, saturation: 0.03 };

/** Item embeddings of several kinds; item i belongs to cluster i mod 8. */
const FAMILIES: Record<string, { d: number; noise: number; common: number; anisotropy: number }> = {
  'round clusters': { d: 64, noise: 0.5, common: 0, anisotropy: 0 },
  'clusters around a common direction, as of sentences': { d: 384, noise: 0.7, common: 2, anisotropy: 0 },
  'a few long axes': { d: 48, noise: 0.5, common: 0.5, anisotropy: 1 },
  'sixteen numbers': { d: 16, noise: 0.6, common: 0.5, anisotropy: 0 },
};

function embeddingsOf({ d, noise, common, anisotropy }: (typeof FAMILIES)[string], seed: string) {
  const random = createRandom(seed);
  const direction = () => {
    const x = Array.from({ length: d }, (_, i) => random.normal() / (1 + i) ** (anisotropy / 2));
    const norm = Math.hypot(...x);
    return x.map((value) => value / norm);
  };
  const centres = Array.from({ length: CLUSTERS }, direction);
  const shared = direction();
  return Array.from({ length: ITEMS }, (_, item) => {
    const own = direction();
    return Float32Array.from(centres[item % CLUSTERS]!, (x, i) => x + noise * own[i]! + common * shared[i]!);
  });
}

/**
 * Learns from users who pick ten items of one cluster; scores of all items for new users with five
 * picks.
 */
function learn(embeddings: readonly Float32Array[], scalingFactor = 1) {
  const random = createRandom('users');
  const basis = basisFromEmbeddings(embeddings, { rank: 4, scalingFactor, seed: 1 });
  const size = coefficientCount(basis);
  const psi = embeddings.map((x) => {
    const row = new Float64Array(size);
    features(basis, x, row);
    return row;
  });
  const user = (name: string, cluster: number, picked: number) => {
    let [statistics, picks] = [emptyStatistics(size), emptyPicks(size)];
    const own = Array.from({ length: ITEMS / CLUSTERS }, (_, i) => cluster + CLUSTERS * i);
    for (const item of random.shuffle(own).slice(0, picked)) {
      statistics = addReward(statistics, psi[item]!, 1, 0);
      picks = addPick(picks, psi[item]!, 1);
    }
    return { userKey: userKey(name), statistics, picks } satisfies SampledPicks;
  };
  const sample = Array.from({ length: USERS }, (_, i) => user(`user ${i}`, i % CLUSTERS, 10));
  const newUsers = Array.from({ length: NEW_USERS }, (_, i) => user(`new ${i}`, i % CLUSTERS, 5));
  const fitted = fitChoice(sample, basis.moments, null)!;
  const unfitted = prepareChoice(initialChoicePrior(fitted.moments, 10), fitted.moments, fitted.tempering);
  const scores = (prepared: typeof fitted) =>
    newUsers.map(({ statistics, picks }) => {
      const m = choiceMean(pickSums(statistics, picks, prepared.rewards), prepared);
      return psi.map((row) => m.reduce((sum, coefficient, i) => sum + coefficient * row[i]!, 0));
    });
  return { sample, model: fitted, fitted: scores(fitted), unfitted: scores(unfitted) };
}

/** Users who picked ten items of one cluster. */
function pickers(embeddings: readonly Float32Array[]) {
  const { sample, model } = learn(embeddings);
  const users = sample.map(({ statistics, picks }) => ({
    ...pickSums(statistics, picks, null),
    of: statistics,
  }));
  return { users, moments: model.moments };
}

/** Chance that an item of the user's cluster scores above another. */
function auc(scores: readonly number[], cluster: number): number {
  const own = scores.filter((_, item) => item % CLUSTERS === cluster);
  const others = scores.filter((_, item) => item % CLUSTERS !== cluster);
  const wins = own.map((a) => others.filter((b) => a > b).length);
  return wins.reduce((sum, count) => sum + count, 0) / (own.length * others.length);
}

/** Largest difference of scores, as a share of their spread. */
function relativeDifference(a: readonly number[][], b: readonly number[][]): number {
  let largest = 0;
  let spread = 0;
  a.forEach((scores, user) => {
    spread = Math.max(spread, Math.max(...scores) - Math.min(...scores));
    scores.forEach((score, item) => {
      largest = Math.max(largest, Math.abs(score - b[user]![item]!));
    });
  });
  return largest / spread;
}

describe.each(Object.entries(FAMILIES))('the choice model on embeddings of the kind: %s', (name, family) => {
  const embeddings = embeddingsOf(family, name);
  const learned = learn(embeddings);

  test('scores the same whatever the length of the embeddings and the scaling factor', () => {
    for (const factor of [1e-3, 1e3]) {
      const scaled = embeddings.map((x) => x.map((value) => value * factor));
      expect(relativeDifference(learned.fitted, learn(scaled).fitted)).toBeLessThan(1e-3);
    }
    expect(relativeDifference(learned.fitted, learn(embeddings, 16).fitted)).toBeLessThan(1e-3);
  });

  test('scores the same when the axes of the embeddings change places and signs', () => {
    const random = createRandom('axes');
    const places = random.shuffle(Array.from({ length: family.d }, (_, i) => i));
    const signs = places.map(() => (random.next() < 0.5 ? -1 : 1));
    const turned = embeddings.map((x) => Float32Array.from(places, (place, i) => signs[i]! * x[place]!));
    expect(relativeDifference(learned.fitted, learn(turned).fitted)).toBeLessThan(0.02);
  });

  test('ranks new users no worse with a prior fitted to 80 users than without', () => {
    const gains = learned.fitted.map(
      (scores, user) => auc(scores, user % CLUSTERS) - auc(learned.unfitted[user]!, user % CLUSTERS),
    );
    const { interval } = pairedDifference(gains);
    expect(interval![1]).toBeGreaterThanOrEqual(0);
    const mean = learned.fitted.reduce((sum, scores, user) => sum + auc(scores, user % CLUSTERS), 0);
    expect(mean / NEW_USERS).toBeGreaterThan(0.9);
  });
});

test('a prior that predicts picks better but certainly ranks them worse is refused', () => {
  const { users, moments } = pickers(embeddingsOf(FAMILIES['round clusters']!, 'refused'));
  const size = moments.mean.length;
  // Far too sure of tastes, but right on which items come first.
  const sure = initialChoicePrior(moments, 1e6);
  // Hardly any taste, in one direction that nobody has.
  const covariance = packedDiagonal(new Float64Array(size).fill(1e-12));
  const none = { mean: moments.mean.map((value) => -1e-3 * value), covariance };
  const [before, after] = [sure, none].map((prior) => prepareChoice(prior, moments, TEMPERING));
  const evidence = (prepared: typeof before) =>
    users.reduce((sum, user) => sum + choiceEvidence(user, prepared!), 0);
  expect(evidence(after)).toBeGreaterThan(evidence(before));
  expect(isBetter(before!, after!, users)).toBe(false);
  expect(isBetter(before!, after!, users.slice(0, 1))).toBe(true);
  expect(isBetter(before!, before!, users)).toBe(true);
});
