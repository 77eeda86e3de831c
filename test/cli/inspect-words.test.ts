import { expect, test } from 'vitest';
import { inWords } from '../../cli/inspect-words.ts';

const FACTS = {
  rewards: 12,
  items: 9,
  allRewardsEqual: true,
  picksRanked: 7,
  meanPickPercentile: 0.834,
  learnsFrom: 'picks',
} as const;

test('says of a user who clicks what was picked, how often, and what is learned from it', () => {
  expect(inWords('ada', FACTS)).toEqual([
    'ada gave 12 rewards for 9 items, all of them equal, as clicks are: they say which items the user picked.',
    'The deployment learns which items users pick, because their rewards hardly differ.',
    "Before Attune learned a pick, this user's taste ranked it above 83 % of the items, on average over 7 picks; 50 % is chance.",
  ]);
});

test('says of a user who rates that the ratings are learned', () => {
  const facts = { ...FACTS, allRewardsEqual: false, learnsFrom: 'rewards' } as const;
  expect(inWords('ada', facts).slice(0, 2)).toEqual([
    'ada gave 12 rewards for 9 items, which differ: they say how much the user likes the items.',
    'The deployment learns which reward a user gives to an item and, to rank the catalogue, which items users pick.',
  ]);
});

test('says nothing that it does not know', () => {
  const facts = {
    ...FACTS,
    rewards: 1,
    items: 0,
    allRewardsEqual: null,
    meanPickPercentile: null,
    learnsFrom: null,
  };
  expect(inWords('ada', facts)).toEqual(['ada gave 1 reward.']);
});

test('says of a user with more items than are kept that there are at least as many', () => {
  expect(inWords('ada', { ...FACTS, rewards: 5_000, items: 1_024 })[0]).toMatch(
    /^ada gave 5000 rewards for at least 1024 items, all of them equal/,
  );
});

test('does not say of a single reward whether it differs from others', () => {
  expect(inWords('ada', { ...FACTS, rewards: 1, items: 1 })[0]).toBe('ada gave 1 reward for 1 item.');
});
