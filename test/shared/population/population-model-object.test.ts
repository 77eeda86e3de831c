import { expect, it } from 'vitest';
import { decodeSkills, encodeSkills } from '../../../shared/population/population-model-object.ts';
import { initialSkills } from '../../../shared/population/population-model.ts';
import { withoutField } from '../../support/earlier-writer.ts';

const skills = { ...initialSkills(null, 1), version: 3 };

it('skills read as they were written', () => {
  const recommending = { ...skills, recommended: { learningRate: 0.5, insteadOf: 0.1 } };
  expect(decodeSkills(encodeSkills(recommending), 'skills/b')).toEqual(recommending);
});

it('skills from before anything was recommended recommend nothing', () => {
  expect(decodeSkills(withoutField(encodeSkills(skills), 'recommended'), 'skills/b')).toEqual(skills);
});
