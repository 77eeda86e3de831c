import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { propensities, propensityDraws } from '../../functions/personalize/propensity.ts';
import { LocalStack } from '../../infra/local/local-stack.ts';
import { embeddingsKey, featuresKey, itemsKey, MANIFEST_KEY } from '../../shared/catalogue/catalogue-keys.ts';
import { type Catalogue, CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { encodeFeatures, quantise, type ShardFeatures } from '../../shared/catalogue/features.ts';
import type { Filter } from '../../shared/catalogue/filter.ts';
import type { LoadedFeatures } from '../../shared/catalogue/loaded-features.ts';
import { bucketOf, encodeManifest, type ManifestShard } from '../../shared/catalogue/manifest.ts';
import { type LinearScorer, topItems } from '../../shared/catalogue/scan.ts';
import { select } from '../../shared/catalogue/selection.ts';
import { encodeShard } from '../../shared/catalogue/shard.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { itemKey } from '../../shared/episodes/episode.ts';
import { type Basis, basisFromEmbeddings, features, randomBasis } from '../../shared/lora/basis.ts';
import { createRandom, type Random } from '../../shared/lora/random.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { writeAssembly } from '../support/assembly-fixture.ts';
import { localS3Client } from '../support/local-clients.ts';
import { approximateIndex } from './approximate-index.ts';
import { referenceFeatures } from './reference.ts';

/**
 * Times of recommending from catalogues of several sizes, beside a naive scan of the same numbers
 * in the same process: `npm run bench:recommend [-- --json] [--quick]`. A query excludes 300 items
 * and takes the best 100 of all others; the whole query is selection, scan, order, ids and JSON.
 * Medians of queries by different users. The naive scan and the graph index have the stored
 * features as float32; recall is measured against float64. `--quick` leaves out the largest size.
 */
const SIZES = [10_000, 100_000, 1_000_000];
const P = 64;
const LIMIT = 100;
const EXCLUDED = 300;
/** Number of measured queries, after others that warm up the code. */
const QUERIES = 21;
const WARM_UP = 30;
const SHARD_ITEMS = 4_096;
const MOST_APPROXIMATE = 100_000;
const SETTINGS = { embeddingDim: 16, embeddingModel: 'bench' };

interface Row {
  readonly items: number;
  readonly queryMs: number;
  readonly filteredMs: number;
  /** Propensities of an answer of 20 items, from {@link propensityDraws} draws near the mean. */
  readonly exploreMs: number;
  readonly naiveMs: number;
  /** Products of a query with all embeddings of 384 numbers, the core of personalised scores. */
  readonly bruteForceMs: number;
  /**
   * A graph index for comparison; null above 100,000 items, where building it takes many minutes.
   */
  readonly approximateMs: number | null;
  readonly approximateRecall: number | null;
  readonly approximateBuildMs: number | null;
  readonly ratio: number;
  /** Share of the float64 top 100 of the stored features in the answer. */
  readonly recall: number;
  /** The same for the features before they were rounded to 16 bits for storage. */
  readonly recallUnrounded: number;
  readonly bytesPerItem: number;
  readonly loadMs: number;
}

/** What is stored, by row over all shards. */
interface Stored {
  readonly ids: readonly string[];
  /** The features before they were rounded for storage. */
  readonly unrounded: Float32Array;
  /** The stored features, of the columns' scales in each shard, and as float32. */
  readonly shards: readonly ShardFeatures[];
  readonly psi: Float32Array;
}

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
});

const folder = mkdtempSync(join(tmpdir(), 'attune-bench-'));
const resources = { Adapters: { Type: 'AWS::S3::Bucket', Properties: {} } };
const outputs = { [OUTPUT.bucketName]: { Value: { Ref: 'Adapters' } } };
const stack = await LocalStack.start({ assemblyDir: writeAssembly(folder, resources, {}, outputs) });
const s3 = localS3Client(stack.endpoints.s3);
try {
  const objects = new ObjectStore(s3, stack.outputs[OUTPUT.bucketName]!);
  const rows: Row[] = [];
  for (const size of options.quick ? SIZES.slice(0, 2) : SIZES) {
    const row = await measure(size, objects);
    rows.push(row);
    if (!options.json) print(row);
  }
  const speeds = [64, 384, 1_536].map(measureFeatures);
  if (options.json) process.stdout.write(`${JSON.stringify({ sizes: rows, features: speeds })}\n`);
  else
    for (const { d, us, referenceUs } of speeds)
      process.stdout.write(
        `ψ of an item of ${d}: ${us.toFixed(0)} µs, reference ${referenceUs.toFixed(0)} µs\n`,
      );
} finally {
  s3.destroy();
  await stack.stop();
  rmSync(folder, { recursive: true });
}

async function measure(items: number, objects: Objects): Promise<Row> {
  const random = createRandom(`recommend ${items}`);
  const basis = benchBasis();
  const stored = await putCatalogue(items, basis, objects, random);
  const reader = new CatalogueReader(objects, SETTINGS);
  const startedAt = performance.now();
  const catalogue = (await reader.load(basis))!;
  const loadMs = performance.now() - startedAt;
  const queries = queriesOf(items, random);
  const ask = ({ m, keys }: Query, filter?: Filter) => {
    const scorer: LinearScorer = { base: 0.6, coefficients: m, effects: null };
    const { selection, count } = select(catalogue, { filter, exclude: keys, now: 0 });
    const best = topItems(catalogue, scorer, selection, LIMIT);
    const answer = best.map(({ itemId, score }) => ({ itemId, score }));
    return { best, text: JSON.stringify({ matching: count, items: answer }) };
  };
  const year: Filter = { kind: 'range', attribute: 'year', bounds: { gte: 2_000 } };
  const [queryMs, answers] = series(queries, (query) => ask(query));
  const [filteredMs] = series(queries, (query) => ask(query, year));
  const [naiveMs] = series(queries, ({ m, without }) => naive(stored, m, without));
  const approximate = items > MOST_APPROXIMATE ? undefined : measureApproximate(stored, queries);
  const found = answers.map(({ best }) => best.map(({ itemId }) => itemId));
  const expected = queries.map((query) => bestOf(stored, exactScores(stored, query.m), query.without));
  const unrounded = queries.map(({ m, without }) => bestOf(stored, productsOf(stored.unrounded, m), without));
  return {
    items,
    queryMs,
    filteredMs,
    exploreMs: await measureExploring(catalogue, queries, random),
    naiveMs,
    bruteForceMs: measureBruteForce(items, random),
    approximateMs: approximate?.ms ?? null,
    approximateRecall: approximate === undefined ? null : recallOf(approximate.lists, expected),
    approximateBuildMs: approximate?.buildMs ?? null,
    ratio: naiveMs / queryMs,
    recall: recallOf(found, expected),
    recallUnrounded: recallOf(found, unrounded),
    bytesPerItem: bytesOf(catalogue) / items,
    loadMs,
  };
}

/** The share of the expected lists that the lists hold. */
function recallOf(lists: readonly (readonly string[])[], expected: readonly (readonly string[])[]): number {
  let found = 0;
  expected.forEach((best, query) => {
    const ids = new Set(lists[query]);
    found += best.filter((id) => ids.has(id)).length;
  });
  return found / (expected.length * LIMIT);
}

/** ψ·m of all rows in float64, from the stored features. */
function exactScores({ shards, ids }: Stored, m: Float64Array): Float64Array {
  const scores = new Float64Array(ids.length);
  let row = 0;
  for (const { values, scales } of shards) {
    const weights = scales.map((scale, j) => scale * m[j]!);
    for (let at = 0; at < values.length; row++)
      for (let j = 0; j < P; j++, at++) scores[row]! += weights[j]! * values[at]!;
  }
  return scores;
}

/** The same from features as numbers. */
function productsOf(psi: Float32Array, m: Float64Array): Float64Array {
  const scores = new Float64Array(psi.length / P);
  for (let row = 0, at = 0; row < scores.length; row++)
    for (let j = 0; j < P; j++, at++) scores[row]! += m[j]! * psi[at]!;
  return scores;
}

/** Ids of the best by their scores. */
function bestOf({ ids }: Stored, scores: Float64Array, without: ReadonlySet<string>): string[] {
  const best: number[] = [];
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row]!;
    if (best.length === LIMIT && score <= scores[best[LIMIT - 1]!]!) continue;
    if (without.has(ids[row]!)) continue;
    let at = best.length;
    while (at > 0 && scores[best[at - 1]!]! < score) at--;
    best.splice(at, 0, row);
    if (best.length > LIMIT) best.pop();
  }
  return best.map((row) => ids[row]!);
}

interface Query {
  readonly m: Float64Array;
  readonly without: ReadonlySet<string>;
  readonly keys: readonly bigint[];
}

function queriesOf(items: number, random: Random): Query[] {
  return Array.from({ length: WARM_UP + QUERIES }, () => {
    const excluded = Array.from({ length: EXCLUDED }, () => `item-${random.integer(items)}`);
    const m = Float64Array.from({ length: P }, () => random.normal());
    return { m, without: new Set(excluded), keys: excluded.map(itemKey) };
  });
}

/** What propensities take, beside the answer. */
async function measureExploring(catalogue: Catalogue, queries: readonly Query[], random: Random) {
  const times: number[] = [];
  for (const { m, keys } of queries.slice(0, 3)) {
    const { selection } = select(catalogue, { exclude: keys, now: 0 });
    const show = async (scorer: LinearScorer) => topItems(catalogue, scorer, selection, 20);
    const scorer: LinearScorer = { base: 0.6, coefficients: m, effects: null };
    const draw = () => ({ ...scorer, coefficients: m.map((mean) => mean + 0.3 * random.normal()) });
    const startedAt = performance.now();
    await propensities(await show(scorer), draw, show, propensityDraws(catalogue.items), 'bench');
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

/** A graph index that is asked for as many more answers as are excluded. */
function measureApproximate({ psi, ids }: Stored, queries: readonly Query[]) {
  const startedAt = performance.now();
  const search = approximateIndex(psi, P, LIMIT + EXCLUDED);
  const buildMs = performance.now() - startedAt;
  const [ms, lists] = series(queries, ({ m, without }) =>
    search(m)
      .map((row) => ids[row]!)
      .filter((id) => !without.has(id))
      .slice(0, LIMIT),
  );
  return { ms, lists, buildMs };
}

/** Measured on at most 100,000 rows, which take 150 MB; proportional for more. */
function measureBruteForce(items: number, random: Random): number {
  const d = 384;
  const rows = Math.min(items, MOST_APPROXIMATE);
  const embeddings = Float32Array.from({ length: rows * d }, () => random.next() - 0.5);
  const queries = Array.from({ length: 9 }, () => embeddings.slice(0, d));
  const scores = new Float64Array(rows);
  const [ms] = series(
    queries,
    (query) => {
      for (let row = 0, at = 0; row < rows; row++) {
        let score = 0;
        for (let i = 0; i < d; i++, at++) score += query[i]! * embeddings[at]!;
        scores[row] = score;
      }
      return scores.toSorted()[rows - LIMIT]!;
    },
    2,
  );
  return (ms * items) / rows;
}

/** Microseconds for ψ of one item. Building a catalogue and an update spend their time on this. */
function measureFeatures(d: number) {
  const random = createRandom(`features ${d}`);
  const basis = randomBasis(d, { rank: 4, scalingFactor: 1, seed: 1 });
  const items = Array.from({ length: 2 * (WARM_UP + QUERIES) }, () =>
    Float64Array.from({ length: d }, () => random.normal()),
  );
  const psi = new Float64Array(basis.projectionDim + 1);
  const [ms] = series(items, (x) => features(basis, x, psi));
  const [referenceMs] = series(items, (x) => referenceFeatures(basis, x, psi));
  return { d, us: 1_000 * ms, referenceUs: 1_000 * referenceMs };
}

/**
 * A straightforward first version: one loop over float32 features in float64, and the best so far
 * in a sorted list.
 */
function naive({ psi, ids }: Stored, m: Float64Array, without: ReadonlySet<string>) {
  const best: { id: string; score: number }[] = [];
  for (let i = 0; i < ids.length; i++) {
    let score = 0.6;
    for (let j = 0; j < P; j++) score += psi[i * P + j]! * m[j]!;
    if (best.length === LIMIT && score <= best[LIMIT - 1]!.score) continue;
    if (without.has(ids[i]!)) continue;
    let at = best.length;
    while (at > 0 && best[at - 1]!.score < score) at--;
    best.splice(at, 0, { id: ids[i]!, score });
    if (best.length > LIMIT) best.pop();
  }
  return best;
}

/**
 * Writes a catalogue with random features. Their columns fall from .045 to .004, as those of
 * embeddings do.
 */
async function putCatalogue(items: number, basis: Basis, objects: Objects, random: Random): Promise<Stored> {
  const buckets = 2 ** Math.max(0, Math.ceil(Math.log2(items / SHARD_ITEMS)));
  const names = Array.from({ length: items }, (_, i) => i);
  const grouped = Map.groupBy(names, (i) => bucketOf(itemKey(`item-${i}`), buckets));
  const deviation = Float64Array.from({ length: P }, (_, j) => 0.045 * (0.004 / 0.045) ** (j / (P - 1)));
  const unrounded = new Float32Array(items * P);
  const psi = new Float32Array(items * P);
  const ids: string[] = [];
  const stored: ShardFeatures[] = [];
  const shards: ManifestShard[] = [];
  const embedding = new Float16Array(SETTINGS.embeddingDim);
  for (const [bucket, members] of [...grouped].sort(([a], [b]) => a - b)) {
    const encoded = encodeShard(
      members.map((i) => ({ itemId: `item-${i}`, embedding, attributes: { year: 1980 + (i % 40) } })),
      SETTINGS.embeddingDim,
    );
    const start = ids.length;
    const keyed = members.map((i) => ({ id: `item-${i}`, key: itemKey(`item-${i}`) }));
    for (const { id } of keyed.sort((a, b) => (a.key < b.key ? -1 : 1))) ids.push(id);
    for (let at = start * P; at < ids.length * P; at++) unrounded[at] = deviation[at % P]! * random.normal();
    const features = quantise(Float64Array.from(unrounded.subarray(start * P, ids.length * P)), P);
    stored.push(features);
    psi.set(
      Float32Array.from(features.values, (value, i) => value * features.scales[i % P]!),
      start * P,
    );
    await objects.put(itemsKey(encoded.name), encoded.itemBytes);
    await objects.put(embeddingsKey(encoded.name), encoded.embeddingBytes);
    await objects.put(featuresKey(encoded.name, basis.id), encodeFeatures(encoded.name, basis.id, features));
    const bytes = encoded.itemBytes.length + encoded.embeddingBytes.length;
    shards.push({ bucket, name: encoded.name, items: encoded.items, bytes });
  }
  const manifest = { ...SETTINGS, version: items, buckets, shards, updatedAt: 0 };
  await objects.put(MANIFEST_KEY, encodeManifest(manifest));
  return { ids, unrounded, shards: stored, psi };
}

/** Only its id and its number of columns are used. */
function benchBasis(): Basis {
  const random = createRandom('bench basis');
  const embeddings = Array.from({ length: 400 }, () =>
    Float32Array.from({ length: SETTINGS.embeddingDim }, () => random.normal()),
  );
  const basis = basisFromEmbeddings(embeddings, { rank: 4, scalingFactor: 1, seed: 1 });
  if (basis.projectionDim !== P) throw new Error(`${basis.projectionDim} columns, expected ${P}`);
  return basis;
}

/** Memory of a container: features, keys, ids, attributes. */
function bytesOf({ shards }: Catalogue): number {
  return shards.reduce(
    (sum, { keys, idBytes, idEnds, attributeBytes, features }) =>
      sum +
      keys.byteLength +
      idBytes.byteLength +
      idEnds.byteLength +
      attributeBytes.byteLength +
      bytesOfFeatures(features!),
    0,
  );
}

function bytesOfFeatures(features: LoadedFeatures): number {
  if ('values' in features) return features.values.byteLength;
  return features.bytes.byteLength;
}

/**
 * Median time of the queries after the warm-up, and all results. Each kind of query runs alone, so
 * that it has the caches to itself.
 */
function series<Query, Result>(
  queries: readonly Query[],
  work: (query: Query) => Result,
  warmUp = WARM_UP,
): [number, readonly Result[]] {
  const times: number[] = [];
  const results = queries.map((query) => {
    const startedAt = performance.now();
    const result = work(query);
    times.push(performance.now() - startedAt);
    return result;
  });
  return [median(times.slice(warmUp)), results];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function print(row: Row): void {
  const ms = (value: number) => `${value.toFixed(2)} ms`;
  const { approximateMs, approximateRecall, approximateBuildMs } = row;
  const approximate =
    approximateMs === null
      ? ''
      : `; usearch ${ms(approximateMs)}, recall ${approximateRecall!.toFixed(4)}, built in ${(approximateBuildMs! / 1_000).toFixed(0)} s`;
  process.stdout.write(
    `${row.items.toLocaleString('en-US')} items: query ${ms(row.queryMs)} (filtered ${ms(row.filteredMs)}), propensities ${ms(row.exploreMs)}, naive ${ms(row.naiveMs)}, ${row.ratio.toFixed(1)} times as fast; recall@${LIMIT} ${row.recall.toFixed(4)}, ${row.recallUnrounded.toFixed(4)} before rounding; brute force at d ${ms(row.bruteForceMs)}${approximate}; ${row.bytesPerItem.toFixed(0)} bytes an item; loaded in ${ms(row.loadMs)}; in 50 ms ${(((50 / row.queryMs) * row.items) / 1e6).toFixed(1)} M items\n`,
  );
}
