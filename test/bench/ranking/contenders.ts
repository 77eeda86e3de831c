import { choiceRow, type FeatureTable, featureTable } from './choice-row.ts';
import { ease, ials, itemKnn, likedMean, popularity } from './peers.ts';
import { type Split, withItemsShuffled, withShown } from './protocol.ts';
import { RatingsRow } from './ratings-row.ts';
import type { Contender } from './rows.ts';

/** Features are made once per split: all rows of Attune use the same. */
const tables = new WeakMap<object, FeatureTable>();
function tableOf(split: Split): FeatureTable {
  const known = tables.get(split.embeddings);
  if (known !== undefined) return known;
  const made = featureTable(split);
  tables.set(split.embeddings, made);
  return made;
}

/** Settings of peers were chosen on ml-latest-small with the seeds 11 and 12. */
const EASE_REGULARIZATION = 50;
const KNN_SHRINKAGE = 20;
const IALS = { dim: 16, unobserved: 0.1, regularization: 0.05, sweeps: 5 };

export const CONTENDERS: readonly Contender[] = [
  { name: 'choice', make: (split) => choiceRow(tableOf(split)) },
  { name: 'popularity', make: popularity },
  { name: 'liked-mean', make: ({ embeddings }) => likedMean(embeddings, 0) },
  { name: 'liked-mean-popularity', make: ({ embeddings }) => likedMean(embeddings, 0.5) },
  { name: 'item-knn', make: () => itemKnn(KNN_SHRINKAGE) },
  { name: 'ease', make: () => ease(EASE_REGULARIZATION) },
  { name: 'ials', make: () => ials(IALS) },
  {
    name: 'choice-ratings',
    make: (split) => new RatingsRow(split, tableOf(split), 'ranking'),
    learnsRatings: true,
  },
  {
    name: 'choice-shown',
    make: (split) => new RatingsRow(split, tableOf(split), 'ranking'),
    events: withShown,
  },
  { name: 'popularity-unrated', make: popularity, learnsRatings: true },
  { name: 'reward', make: (split) => new RatingsRow(split, tableOf(split), 'scores'), learnsRatings: true },
  { name: 'choice-prefilled', make: (split) => choiceRow(tableOf(split)), prefilled: true },
  { name: 'popularity-prefilled', make: popularity, prefilled: true },
  { name: 'ease-prefilled', make: () => ease(EASE_REGULARIZATION), prefilled: true },
  { name: 'control', make: (split) => choiceRow(tableOf(split)), events: withItemsShuffled },
  { name: 'control-popularity', make: popularity, events: withItemsShuffled },
];

/** The rows of the quick run, which has bars. */
export const QUICK_ROWS = ['choice', 'popularity', 'liked-mean-popularity', 'control', 'control-popularity'];
