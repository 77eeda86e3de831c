import { expect, it } from 'vitest';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import {
  decodePopulationModel,
  encodePopulationModel,
} from '../../../shared/population/population-model-object.ts';
import { withoutField } from '../../support/earlier-writer.ts';

const population = { ...initialPopulationModel(null), version: 3 };

it('a population model is read as written', () => {
  const recommending = { ...population, recommended: { learningRate: 0.5, insteadOf: 0.1 } };
  expect(decodePopulationModel(encodePopulationModel(recommending), 'skills/b')).toEqual(recommending);
});

it('a population model of an earlier version recommends no learning rate', () => {
  expect(
    decodePopulationModel(withoutField(encodePopulationModel(population), 'recommended'), 'skills/b'),
  ).toEqual(population);
});
