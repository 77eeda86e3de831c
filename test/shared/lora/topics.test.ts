import { expect, test } from 'vitest';
import {
  type Basis,
  basisFromEmbeddings,
  coefficientCount,
  features,
  randomBasis,
} from '../../../shared/lora/basis.ts';
import { createBayesianState, solveCoefficients, train } from '../../../shared/lora/bayesian.ts';
import { initialModel } from '../../../shared/lora/learner.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { dot } from '../../../shared/lora/symmetric.ts';

const DIM = 384;
const TOPICS = 40;
const CLICKS = 10;
const random = createRandom('topics');

function direction(): number[] {
  const x = Array.from({ length: DIM }, () => random.normal());
  const length = Math.hypot(...x);
  return x.map((value) => value / length);
}

const common = direction();
const centres = Array.from({ length: TOPICS }, direction);
/** Ten times as many topics as the adapter has ranks, around a common direction. */
const items = Array.from({ length: 12 * TOPICS }, (_, item) => {
  const noise = direction();
  return Float32Array.from(centres[item % TOPICS]!, (x, i) => x + 0.7 * noise[i]! + 0.5 * common[i]!);
});

/**
 * Of the best ten unseen items of users who clicked items of two topics, the share of these topics.
 */
function shareOfOwnTopics(basis: Basis): number {
  const model = initialModel('bayesian', basis, {});
  const psi = items.map((item) => {
    const out = new Float64Array(coefficientCount(basis));
    features(basis, item, out);
    return out;
  });
  let own = 0;
  for (let user = 0; user < TOPICS; user++) {
    const topics = [user, (7 * user + 3) % TOPICS];
    const clicked = Array.from({ length: CLICKS }, (_, i) => topics[i % 2]! + TOPICS * ((i + user) % 12));
    const interactions = clicked.map((item) => ({ embedding: items[item]!, itemEffect: 0, reward: 1 }));
    const { state } = train(createBayesianState(basis), model, interactions);
    const m = solveCoefficients(state, model)!;
    const best = [...items.keys()]
      .filter((item) => !clicked.includes(item))
      .sort((a, b) => dot(psi[b]!, m) - dot(psi[a]!, m))
      .slice(0, 10);
    own += best.filter((item) => topics.includes(item % TOPICS)).length;
  }
  return own / (10 * TOPICS);
}

const options = { rank: 4, scalingFactor: 1, seed: 1 };

test('rank 4 tells 40 topics apart under a basis of the catalogue', () => {
  expect(shareOfOwnTopics(basisFromEmbeddings(items, options))).toBeGreaterThan(0.99);
});

test('a random basis puts items of other topics among the best', () => {
  const share = shareOfOwnTopics(randomBasis(DIM, options));
  expect(share).toBeGreaterThan(0.2);
  expect(share).toBeLessThan(0.8);
});
