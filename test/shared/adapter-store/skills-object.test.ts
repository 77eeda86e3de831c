import { expect, it } from 'vitest';
import { decodeSkills, encodeSkills } from '../../../shared/adapter-store/skills-object.ts';
import { initialSkills } from '../../../shared/reasoning-bank/skills.ts';
import { withoutField } from './earlier-writer.ts';

const skills = { ...initialSkills(null, 1), version: 3 };

it('skills read as they were written', () => {
  const recommending = { ...skills, recommended: { learningRate: 0.5, insteadOf: 0.1 } };
  expect(decodeSkills(encodeSkills(recommending), 'skills/b')).toEqual(recommending);
});

it('skills from before anything was recommended recommend nothing', () => {
  expect(decodeSkills(withoutField(encodeSkills(skills), 'recommended'), 'skills/b')).toEqual(skills);
});
