import { expect, it } from 'vitest';
import { addSittings, NO_RECENT_PICKS } from '../../../shared/lora/recent-picks.ts';
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
