import { expect, it } from 'vitest';
import { episodeOf } from '../../../shared/reasoning-bank/pattern.ts';
import { nearest, wordsOf } from '../../../shared/reasoning-bank/similarity.ts';

const DEFAULTS = { learner: 'bayesian', rank: 4, embeddingDim: 64 };

function episode(id: string, task: string, now: number) {
  return episodeOf({ sessionId: 's', task, success: true, reward: 0.5 }, { id, now, defaults: DEFAULTS });
}

const asked = (text: string, context: object = {}) => ({ context, words: wordsOf(text) });
const ids = (found: ReturnType<typeof nearest>) => found.map(({ episode }) => episode.report?.id);

it('puts the newer of equal patterns first, for every input order', () => {
  const episodes = [episode('old', 'rank 4', 1), episode('new', 'rank 4', 3), episode('middle', 'rank 4', 2)];
  expect(ids(nearest(episodes, asked('', { rank: 4 }), 3))).toEqual(['new', 'middle', 'old']);
  expect(ids(nearest(episodes.toReversed(), asked('', { rank: 4 }), 3))).toEqual(['new', 'middle', 'old']);
});

it('compares by context when both have one, otherwise by words', () => {
  const episodes = [episode('context', 'rank 8', 1), episode('words', 'reduce the learning rate', 1)];
  const found = nearest(episodes, asked('reduce learning rate', { rank: 4 }), 2);
  expect(ids(found)).toEqual(['words', 'context']);
  expect(found[0]?.similarity).toBeCloseTo(3 / Math.sqrt(12), 10);
  expect(found[1]?.similarity).toBe(0.5);
});

it('finds words of any alphabet and case, with any separators', () => {
  expect(wordsOf('Größe_2 größe, 大小!')).toEqual(new Set(['größe', '2', '大小']));
});
