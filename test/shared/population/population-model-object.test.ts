import { describe, expect, it } from 'vitest';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { initialChoicePrior, prepareChoice } from '../../../shared/lora/choice.ts';
import type { RewardSpread } from '../../../shared/lora/pick-weights.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addSittings, NO_RECENT_PICKS } from '../../../shared/lora/recent-picks.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import {
  decodePopulationModel,
  encodePopulationModel,
} from '../../../shared/population/population-model-object.ts';
import { decodeTensors } from '../../../shared/storage/safetensors.ts';
import { withoutField } from '../../support/earlier-writer.ts';

const population = { ...initialPopulationModel(null), version: 3 };

it('a population model is read as written', () => {
  const recommending = { ...population, recommended: { learningRate: 0.5, insteadOf: 0.1 } };
  expect(decodePopulationModel(encodePopulationModel(recommending), 'skills/b')).toEqual(recommending);
});

it('recent picks read as they were written, and are missing from a population model of earlier versions', () => {
  const rules = { total: () => 1, kept: () => true };
  const sitting = (at: number, items: bigint[]) => [{ userKey: 'u', at, items }];
  const recent = addSittings(
    addSittings(NO_RECENT_PICKS, sitting(1e12, [7n, 2n ** 63n]), rules),
    sitting(1.001e12, [7n]),
    rules,
  );
  const picked = { ...population, recent };
  expect(decodePopulationModel(encodePopulationModel(picked), 'skills/b')).toEqual(picked);
  expect(decodePopulationModel(encodePopulationModel(population), 'skills/b').recent).toEqual(
    NO_RECENT_PICKS,
  );
});

it('a population model of an earlier version recommends no learning rate', () => {
  expect(
    decodePopulationModel(withoutField(encodePopulationModel(population), 'recommended'), 'skills/b'),
  ).toEqual(population);
});

describe('a choice model', () => {
  const random = createRandom('choice model');
  const embeddings = Array.from({ length: 40 }, () =>
    Float32Array.from({ length: 16 }, () => random.normal()),
  );
  const basis = basisFromEmbeddings(embeddings, { rank: 2, scalingFactor: 1, seed: 1 });
  const withChoice = (rewards: RewardSpread | null) => {
    const prior = initialChoicePrior(basis.moments!, 10);
    const tempering = { perPick: 0.25, saturation: 0.125 };
    const choice = prepareChoice(prior, basis.moments!, tempering, rewards);
    return { ...initialPopulationModel(basis), version: 3, choice };
  };

  it.each([null, { mean: 0.75, deviation: 0.125 }])('reads as it was written: %j', (rewards) => {
    const written = withChoice(rewards);
    expect(decodePopulationModel(encodePopulationModel(written), 'skills/b')).toEqual(written);
  });

  it('of ratings is none for code of an earlier version, which would score candidates by it', () => {
    const { tensors } = decodeTensors(
      encodePopulationModel(withChoice({ mean: 0.75, deviation: 0.125 })),
      'skills/b',
    );
    expect(Object.keys(tensors).filter((name) => name.startsWith('choice'))).toEqual([]);
  });
});
