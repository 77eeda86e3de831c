import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { applyEvents } from '../../functions/update-adapters/apply-events.ts';
import { RECENT_ITEMS_KEPT } from '../../shared/adapters/recent-items.ts';
import { userKey } from '../../shared/config/user-key.ts';
import type { FeedbackEvent } from '../../shared/feedback/event.ts';
import { type Basis, features, MAX_FEATURES, randomBasis } from '../../shared/lora/basis.ts';
import { addTaste, type BayesianState } from '../../shared/lora/bayesian.ts';
import { batchForward, forward, queryScores, userPart } from '../../shared/lora/forward.ts';
import { initialPrior } from '../../shared/lora/prior.ts';
import { createRandom, type Random } from '../../shared/lora/random.ts';
import { sgdStateFrom, trainSgd } from '../../shared/lora/sgd.ts';
import { combine } from '../../shared/population/shared-learning.ts';
import {
  decodeTensors,
  encodeTensors,
  layOutTensors,
  readTensors,
} from '../../shared/storage/safetensors.ts';
import { SETTINGS } from '../support/container.ts';
import {
  referenceBatch,
  referenceEncode,
  referenceEvents,
  referenceFeatures,
  referenceForward,
  referenceRank,
  referenceScores,
  referenceTaste,
  referenceUpdate,
} from './reference.ts';

/**
 * Times of the numeric kernels next to a straightforward reference, in one process and in turns:
 * `npm run bench:kernels [-- --json] [--quick]`. Microseconds per operation, medians. `--quick`
 * measures three sizes only.
 */
const DIMS = [64, 128, 384, 768, 1536];
const RANKS = [4, 8, 16];
const CANDIDATES = 500;
/** Rewards of an update: the most that one step takes. */
const BATCH = 5;
/**
 * Items of one size that a benchmark uses in turn, so that they do not all stay in the nearest
 * cache.
 */
const POOL = 32;

const OPERATIONS = [
  'forward',
  'batch',
  'update',
  'rank',
  'score',
  'encode',
  'features',
  'featuresScript',
  'solve',
  'events',
] as const;
type Operation = (typeof OPERATIONS)[number];

interface Row {
  readonly operation: Operation;
  readonly d: number;
  readonly r: number;
  readonly us: number;
  readonly referenceUs: number;
  readonly ratio: number;
}

/** Runs of one sample last about as long; enough samples for a steady median. */
const SAMPLE_MS = 2;
const SAMPLES = 31;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    cold: { type: 'string' },
  },
});

if (options.cold === undefined) main();
else printCold(options.cold);

function main(): void {
  const sizes = DIMS.flatMap((d) => RANKS.map((r) => ({ d, r }))).filter(
    (_, i) => !options.quick || i % 6 === 1,
  );
  const rows = sizes.flatMap(({ d, r }) => measure(d, r));
  const speedup = Object.fromEntries(
    OPERATIONS.map((operation) => {
      const ratios = rows.filter((row) => row.operation === operation).map(({ ratio }) => Math.log(ratio));
      return [operation, rounded(Math.exp(ratios.reduce((sum, value) => sum + value, 0) / ratios.length))];
    }),
  );
  const objects = [measureObject(768, 8), measureObject(1536, 32)];
  const cold = [coldStart(384, 8)];
  if (options.json) {
    write(JSON.stringify({ speedup, rows, objects, cold }));
    return;
  }
  write('operation           d   r      µs  reference   ratio');
  for (const { operation, d, r, us, referenceUs, ratio } of rows) {
    const cells = [
      `${d}`.padStart(6),
      `${r}`.padStart(4),
      us.toFixed(2).padStart(8),
      referenceUs.toFixed(2).padStart(11),
    ];
    write(`${operation.padEnd(14)}${cells.join('')}${ratio.toFixed(2).padStart(8)}`);
  }
  write(`geometric means: ${OPERATIONS.map((operation) => `${operation} ${speedup[operation]}`).join(', ')}`);
  for (const { bytes, viewUs, decodeUs, encodeUs } of objects) {
    write(
      `${bytes} bytes: read as views ${viewUs} µs; with the checksum: decode ${decodeUs}, encode ${encodeUs} µs`,
    );
  }
  for (const { d, r, vectors, ms } of cold)
    write(`first ${vectors} vectors in a fresh process, d=${d} r=${r}: ${ms} ms`);
}

function measure(d: number, r: number): Row[] {
  const random = createRandom(`${d} ${r}`);
  const [a, b] = [normals(random, r * d), normals(random, d * r)];
  const scale = 1 / r;
  const adapter = { basis: { embeddingDim: d, rank: r, scale, a }, b, offset: 0 };
  const xs = Array.from({ length: CANDIDATES }, () => normals(random, d));
  const query = normals(random, d);
  const out = new Float32Array(d);
  let turn = 0;
  const next = () => xs[turn++ % POOL]!;

  const tensors = { lora_A: { shape: [r, d], values: a }, lora_B: { shape: [d, r], values: b } };
  const update = updates(random, d, r, scale);
  const pairs: Partial<Record<Operation, [() => unknown, () => unknown]>> = {
    ...basisOperations(d, r, xs),
    forward: [() => forward(adapter, next(), out), () => referenceForward(a, b, scale, r, next())],
    batch: [() => batchForward(adapter, xs), () => referenceBatch(a, b, scale, r, xs)],
    update,
    rank: [() => queryScores(adapter, query, xs), () => referenceRank(a, b, scale, r, query, xs)],
    score: [() => xs.map((x) => userPart(adapter, x)), () => referenceScores(a, b, scale, r, xs)],
    encode: [() => layOutTensors({ tensors, metadata: { format: 'pt' } }), () => referenceEncode(a, b, r)],
  };
  return OPERATIONS.flatMap((operation) => {
    const pair = pairs[operation];
    if (pair === undefined) return [];
    const [ours, reference] = pair;
    turn = 0;
    const found = ours();
    turn = 0;
    requireAgreement(`${operation} d=${d} r=${r}`, found, reference());
    const [us, referenceUs] = medians(ours, reference);
    return [{ operation, d, r, us, referenceUs, ratio: rounded(referenceUs / us) }];
  });
}

/** ψ of an item, and B = Π·m, for sizes that have a basis. */
function basisOperations(d: number, r: number, xs: readonly Float32Array[]) {
  if (d * r > MAX_FEATURES) return {};
  const basis = randomBasis(d, { rank: r, scalingFactor: 1, seed: 1 });
  const { projection, projectionDim: p } = basis;
  const m = Float64Array.from(normals(createRandom('m'), p));
  const of = (write: (psi: Float64Array) => void) => {
    const psi = new Float64Array(p + 1);
    return () => {
      write(psi);
      return psi;
    };
  };
  return {
    features: [of((psi) => features(basis, xs[0]!, psi)), of((psi) => referenceFeatures(basis, xs[0]!, psi))],
    // What runs where WebAssembly SIMD is missing.
    featuresScript: [
      of((psi) => features(basis, xs[0]!, psi, 'float64', null)),
      of((psi) => referenceFeatures(basis, xs[0]!, psi)),
    ],
    ...(r === RANKS[1] ? { events: eventsOfUser(basis, xs) } : {}),
    solve: [
      () => {
        const b = new Float32Array(d * r);
        addTaste(projection, p, m, null, b);
        return b;
      },
      () => referenceTaste(projection, p, m),
    ],
  } satisfies Partial<Record<Operation, [() => unknown, () => unknown]>>;
}

/**
 * An update of ten events of five rewards each, by a user whose list of recent items is full. The
 * reference only does the arithmetic, and none of what an update records about events and items.
 */
function eventsOfUser(basis: Basis, xs: readonly Float32Array[]): [() => unknown, () => unknown] {
  const { embeddingDim, rank } = basis;
  const settings = { ...SETTINGS, embeddingDim, rank, scalingFactor: basis.scale * rank };
  const learning = combine({ basis }, undefined);
  const update = { userKey: userKey('ada'), settings, now: 0 };
  const random = createRandom('events');
  const eventOf = (eventId: string, items: number): FeedbackEvent => ({
    ...{ schemaVersion: 1, eventId, userId: 'ada', occurredAt: '2026-01-01T00:00:00Z' },
    interactions: Array.from({ length: items }, (_, i) => ({
      itemId: `${eventId} ${i}`,
      embedding: xs[random.integer(CANDIDATES)]!,
      reward: random.next(),
    })),
  });
  const { adapter } = applyEvents(undefined, [eventOf('past', RECENT_ITEMS_KEPT)], learning, update);
  const events = Array.from({ length: 10 }, (_, i) => eventOf(`event ${i}`, 5));
  const { statistics } = adapter!.state as BayesianState;
  const rewards = events.map(({ interactions }) =>
    interactions.map(({ embedding, reward }) => ({ embedding, reward: reward! })),
  );
  return [
    () => applyEvents(adapter, events, learning, update).adapter!.weights.b,
    () => referenceEvents(statistics, basis, learning.model.prior, rewards),
  ];
}

/** An update of five rewards by the learner 'sgd', and by the reference. */
function updates(random: Random, d: number, r: number, scale: number): [() => unknown, () => unknown] {
  const model = { basis: null, prior: initialPrior(null, 1) };
  const state = sgdStateFrom(
    { embeddingDim: d, rank: r, scale, a: normals(random, r * d) },
    normals(random, d * r),
  );
  const items = Array.from({ length: BATCH }, () => normals(random, d));
  const rewards = items.map(() => random.next());
  const interactions = items.map((embedding, i) => ({ embedding, itemEffect: 0, reward: rewards[i]! }));
  const reference = {
    a: state.a.values,
    b: state.b.values.map((value) => scale * value),
    anchor: new Float32Array(2 * r * d),
    fisher: new Float32Array(2 * r * d),
  };
  const targets = rewards.map((reward) => 0.5 + reward);
  const numbers = { rate: 1, clip: 1, lambda: 0.5 };
  return [
    () => {
      const { a, b } = trainSgd(state, model, interactions).state;
      return [a.values, b.values, a.fisher, b.fisher];
    },
    () => {
      const { a, b, fisher } = referenceUpdate(reference, r, items, targets, numbers);
      return [a, b.map((value) => value / scale), fisher];
    },
  ];
}

/** Both must compute the same, otherwise the times cannot be compared. */
function requireAgreement(what: string, found: unknown, expected: unknown): void {
  const [p, q] = [numbersOf(found), numbersOf(expected)];
  const largest = q.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  const apart = p.length !== q.length || p.some((value, i) => !(Math.abs(value - q[i]!) <= 1e-4 * largest));
  if (apart) throw new Error(`${what}: the kernel and the reference disagree`);
}

/**
 * All numbers of a result: a vector, a list of vectors, bytes, or for an update A, s·B and their
 * Fisher information.
 */
function numbersOf(result: unknown): number[] {
  if (ArrayBuffer.isView(result) || Array.isArray(result)) {
    return Array.from(result as unknown as ArrayLike<unknown>).flatMap((entry) =>
      typeof entry === 'number' ? entry : numbersOf(entry),
    );
  }
  return Object.values(Object(result)).flatMap(numbersOf);
}

function measureObject(d: number, r: number) {
  const random = createRandom('object');
  const tensors = {
    lora_A: { shape: [r, d], values: normals(random, r * d) },
    lora_B: { shape: [d, r], values: normals(random, d * r) },
  };
  const file = encodeTensors({ tensors, metadata: {} });
  const [viewUs, decodeUs] = medians(
    () => readTensors(file, 'x'),
    () => decodeTensors(file, 'x'),
  );
  const [encodeUs] = medians(
    () => encodeTensors({ tensors, metadata: {} }),
    () => {},
  );
  return {
    bytes: file.length,
    viewUs: rounded(viewUs),
    decodeUs: rounded(decodeUs),
    encodeUs: rounded(encodeUs),
  };
}

/**
 * Times of the first vectors in a new container, before anything is compiled. Median of five
 * processes.
 */
function coldStart(d: number, r: number) {
  const runs = Array.from({ length: 5 }, () =>
    Number(
      execFileSync(process.execPath, [import.meta.filename, '--cold', `${d},${r}`], { encoding: 'utf8' }),
    ),
  );
  return { d, r, vectors: 100, ms: rounded(median(runs)) };
}

function printCold(size: string): void {
  const [d = 384, r = 8] = size.split(',').map(Number);
  const random = createRandom('cold');
  const adapter = {
    basis: { embeddingDim: d, rank: r, scale: 1, a: normals(random, r * d) },
    b: normals(random, d * r),
    offset: 0,
  };
  const xs = Array.from({ length: 100 }, () => normals(random, d));
  const out = new Float32Array(d);
  const start = performance.now();
  for (const x of xs) forward(adapter, x, out);
  write(`${performance.now() - start}`);
}

/** Median microseconds of both, sampled in turns so that a disturbance affects both. */
function medians(ours: () => unknown, reference: () => unknown): [number, number] {
  const counts = [ours, reference].map((run) => {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < 10 * SAMPLE_MS || count < 3) {
      run();
      count += 1;
    }
    return Math.max(1, Math.ceil(count / 10));
  });
  const samples: [number[], number[]] = [[], []];
  for (let sample = 0; sample < SAMPLES; sample++) {
    for (const [which, run] of [ours, reference].entries()) {
      const start = performance.now();
      for (let n = 0; n < counts[which]!; n++) run();
      samples[which]!.push(((performance.now() - start) * 1000) / counts[which]!);
    }
  }
  return [median(samples[0]), median(samples[1])];
}

function median(values: number[]): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)]!;
}

function normals(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => random.normal() / Math.sqrt(length));
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}
