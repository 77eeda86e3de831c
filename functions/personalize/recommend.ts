import { metItems } from '../../shared/adapters/recent-items.ts';
import {
  type Catalogue,
  type CatalogueReader,
  type Place,
  placeOfItem,
} from '../../shared/catalogue/catalogue-reader.ts';
import { chooseDiverse, cosine } from '../../shared/catalogue/diversity.ts';
import { type LinearScorer, type Ranked, topItems } from '../../shared/catalogue/scan.ts';
import type { Selection } from '../../shared/catalogue/selected-rows.ts';
import { select } from '../../shared/catalogue/selection.ts';
import type {
  RecommendAnswer,
  RecommendedItem,
  SearchAnswer,
  SimilarAnswer,
} from '../../shared/contract/answers.ts';
import type {
  Choosing,
  RecommendRequest,
  SearchRequest,
  SimilarRequest,
} from '../../shared/contract/catalogue-request.ts';
import { itemKey } from '../../shared/episodes/episode.ts';
import { InvalidInputError, shown } from '../../shared/errors.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { personalizedQuery } from '../../shared/lora/forward.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { scoreParts } from '../../shared/serving/score-parts.ts';
import { type ServedUser, type ServingServices, servedUser } from '../../shared/serving/served-user.ts';
import { becauseFor } from './because.ts';
import { propensities, propensityDraws } from './propensity.ts';
import { type UserScorer, userScorer } from './user-scorer.ts';

export interface RecommendServices extends ServingServices {
  readonly catalogue: CatalogueReader;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/**
 * Size of the pool that diversity chooses from: a multiple of the requested items, and a minimum.
 */
const POOL = { factor: 10, minimum: 100 } as const;
/** Similar items that are ranked by a user's taste, as a multiple of the requested items. */
const SIMILAR_FACTOR = 5;
const DAY_SECONDS = 86_400;
const NO_CATALOGUE: Catalogue = { version: 0, items: 0, buckets: 1, basisId: null, shards: [] };

/**
 * The best items of the whole catalogue for a user, exactly. Held-out users get what everybody
 * likes.
 * @throws InvalidInputError when there is no catalogue; UnavailableError, CorruptObjectError
 */
export async function recommend(
  request: RecommendRequest,
  services: RecommendServices,
): Promise<RecommendAnswer> {
  const { userId, requestId, explain } = request;
  const { user, catalogue, scorer: mean } = await scorerOf(userId, services);
  const { selection, count } = selected(catalogue, request, user, services.now());
  const draws = request.explore ? mean.draw : undefined;
  const scorer = draws === undefined ? mean : draws(createRandom(`explore ${userId} ${requestId}`).normal);
  const show = (by: LinearScorer) => choose(catalogue, by, selection, count, request, services);
  const chosen = await show(scorer);
  const measured = draws !== undefined && request.diversity === 0;
  const drawCount = propensityDraws(catalogue.items);
  const propensity = measured
    ? await propensities(chosen, draws, show, drawCount, `${userId} ${requestId}`)
    : undefined;
  // A draw does not come from the user's past, so it is not explained.
  const because = explain && draws === undefined ? becauseFor(user, catalogue) : undefined;
  return {
    userId,
    recommendationId: requestId,
    adapterVersion: user.adapter?.version ?? 0,
    skillsVersion: user.shared.population.version,
    catalogueVersion: catalogue.version,
    source: user.source,
    matching: count,
    ...(draws === undefined ? {} : { requestId }),
    ...(propensity === undefined ? {} : { propensityDraws: drawCount }),
    items: chosen.map((item, i) => ({
      ...answered(item, scorer, explain ? { user, because } : undefined),
      ...(propensity === undefined ? {} : { propensity: propensity[i]! }),
    })),
  };
}

/**
 * Items by the cosine of their embeddings to that of an item, over the whole catalogue. For a user,
 * the most similar of them by the user's scores.
 * @throws InvalidInputError when there is no catalogue, or it does not have the item;
 * UnavailableError, CorruptObjectError
 */
export async function similar(request: SimilarRequest, services: RecommendServices): Promise<SimilarAnswer> {
  const { itemId, userId, limit } = request;
  const found = userId === undefined ? undefined : await scorerOf(userId, services);
  const catalogue = found?.catalogue ?? (await catalogueFor((await services.learning()).basis, services));
  const place = placeOfItem(catalogue, itemId);
  if (place === undefined) throw new InvalidInputError('itemId', shown(itemId), 'an item of the catalogue');
  const excluding = { ...request, exclude: [...request.exclude, itemId] };
  const { selection, count } = selected(catalogue, excluding, found?.user, services.now());
  const query = Float64Array.from(await services.catalogue.embeddingAt(catalogue, place));
  const similarity = await products(catalogue, query, services.catalogue);
  const bySimilarity: LinearScorer = { base: 0, coefficients: null, effects: similarity };
  const similarityOf = ({ shard, row }: Place) => similarity[shard]![row]!;
  const answer = (chosen: readonly Ranked[], items: SimilarAnswer['items']) => ({
    itemId,
    catalogueVersion: catalogue.version,
    matching: count,
    items: items.slice(0, chosen.length),
  });
  if (found === undefined) {
    const chosen = await choose(catalogue, bySimilarity, selection, count, request, services);
    return answer(
      chosen,
      chosen.map((item) => ({ itemId: item.itemId, score: item.score, similarity: item.score })),
    );
  }
  const explain = request.explain
    ? { user: found.user, because: becauseFor(found.user, catalogue) }
    : undefined;
  const nearest = topItems(catalogue, bySimilarity, selection, limit * SIMILAR_FACTOR);
  const among = catalogue.shards.map(({ keys }) => new Uint8Array(keys.length));
  for (const { shard, row } of nearest) among[shard]![row] = 1;
  const ofNearest = among.map((admitted) => ({ admitted, excluded: null }));
  const chosen = await choose(catalogue, found.scorer, ofNearest, nearest.length, request, services);
  return answer(
    chosen,
    chosen.map((item) => ({
      ...answered(item, found.scorer, explain),
      similarity: similarityOf(item),
    })),
  );
}

/**
 * Items by ⟨q, y⟩, where y is an item's personalised embedding: similarity and taste
 * together, over the whole catalogue. Without an adapter this is the cosine.
 * @throws InvalidInputError when there is no catalogue; UnavailableError, CorruptObjectError
 */
export async function search(request: SearchRequest, services: RecommendServices): Promise<SearchAnswer> {
  const user = await servedUser(request.userId, services);
  const query = personalizedQuery(user.lora, request.query);
  // A caller who wants the vector may keep the items in another store.
  const catalogue = request.queryVector
    ? ((await services.catalogue.load(user.shared.basis)) ?? NO_CATALOGUE)
    : await catalogueFor(user.shared.basis, services);
  const { selection, count } = selected(catalogue, request, user, services.now());
  const effects = await products(catalogue, Float64Array.from(query), services.catalogue);
  const scorer = { base: 0, coefficients: null, effects };
  const chosen = await choose(catalogue, scorer, selection, count, request, services);
  return {
    userId: request.userId,
    adapterVersion: user.adapter?.version ?? 0,
    skillsVersion: user.shared.population.version,
    catalogueVersion: catalogue.version,
    source: user.source,
    matching: count,
    ...(request.queryVector ? { queryVector: encodeEmbedding(query) } : {}),
    items: chosen.map(({ itemId, score }) => ({ itemId, score })),
  };
}

async function scorerOf(userId: string, services: RecommendServices) {
  const user = await servedUser(userId, services, 'ranking');
  const catalogue = await catalogueFor(user.shared.basis, services);
  return { user, catalogue, scorer: await userScorer(user, catalogue, services.catalogue) };
}

async function catalogueFor(
  basis: ServedUser['shared']['basis'],
  services: RecommendServices,
): Promise<Catalogue> {
  const catalogue = await services.catalogue.load(basis);
  if (catalogue === undefined || catalogue.items === 0)
    throw new InvalidInputError('catalogue', 'no items', 'items that attune catalogue put has stored');
  return catalogue;
}

function selected(catalogue: Catalogue, request: Choosing, user: ServedUser | undefined, now: number) {
  const { filter, exclude, excludeInteracted, interactedWithinDays: days, interactedBy: kinds } = request;
  const since = days === undefined ? undefined : Math.max(0, now / 1_000 - days * DAY_SECONDS);
  const recent = excludeInteracted ? user?.stored?.recentItems : undefined;
  const interacted = recent === undefined ? [] : metItems(recent, { since, kinds });
  return select(catalogue, { filter, exclude: [...exclude.map(itemKey), ...interacted], now });
}

/** The best items, chosen from a pool that grows until enough items remain under the cap. */
async function choose(
  catalogue: Catalogue,
  scorer: LinearScorer,
  selection: Selection,
  count: number,
  { limit, diversity, cap }: Choosing,
  { catalogue: reader }: RecommendServices,
): Promise<readonly Ranked[]> {
  if (diversity === 0 && cap === undefined) return topItems(catalogue, scorer, selection, limit);
  for (let size = Math.max(POOL.minimum, POOL.factor * limit); ; size *= 4) {
    const pool = topItems(catalogue, scorer, selection, size);
    const embeddings = diversity === 0 ? [] : await reader.embeddingsAt(catalogue, pool);
    const chosen = chooseDiverse(catalogue, pool, embeddings, { limit, diversity, cap });
    if (chosen.length === limit || pool.length >= count) return chosen;
  }
}

function answered(
  item: Ranked,
  scorer: UserScorer,
  explain: { readonly user: ServedUser; readonly because: ReturnType<typeof becauseFor> } | undefined,
): RecommendedItem {
  const { itemId, score } = item;
  if (explain === undefined) return { itemId, score };
  const part = scorer.itemParts?.[item.shard]?.[item.row] ?? 0;
  const together = scorer.gainAt(item);
  const user = score - scorer.meanReward - part - together;
  return {
    itemId,
    score,
    parts: scoreParts(explain.user.shared.model, { base: scorer.meanReward, item: part, together, user }),
    ...(explain.because === undefined ? {} : { because: explain.because(item, user) }),
  };
}

/** ⟨q, x⟩ of every item; x is of unit length. */
async function products(
  catalogue: Catalogue,
  query: Float64Array,
  reader: CatalogueReader,
): Promise<Float64Array[]> {
  const all: Float64Array[] = [];
  for (const shard of catalogue.shards.keys()) {
    const rows = await reader.embeddingsOf(catalogue, shard);
    all.push(Float64Array.from(rows, (embedding) => cosine(query, embedding)));
  }
  return all;
}
