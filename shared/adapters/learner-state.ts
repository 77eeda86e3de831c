import * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import type { BayesianState, BufferedInteraction } from '../lora/bayesian.ts';
import type { ElasticMatrix } from '../lora/elastic-weights.ts';
import type { LearnerState } from '../lora/learner.ts';
import type { Picks } from '../lora/picks.ts';
import type { SgdState } from '../lora/sgd.ts';
import { packedLength } from '../lora/symmetric.ts';
import type { NamedTensor } from '../storage/safetensors.ts';
import { stackHalves, type TensorReader } from '../storage/tensor-document.ts';

const count = z.int().min(0);
const real = z.number();

const record = z.strictObject({
  count,
  adapterLoss: real,
  userMeanLoss: real,
  warmStartLoss: real,
  adapterUserMeanSquares: real,
  adapterWarmStartSquares: real,
  warmStartUserMeanSquares: real,
});

const bayesian = z.strictObject({
  learner: z.literal('bayesian'),
  basisId: z.string().nullable(),
  statistics: z.strictObject({ sumSquares: real, count, rewardSum: real }),
  targets: z.strictObject({ count }).nullable(),
  waiting: z.array(
    z.union([
      z.strictObject({ residualReward: real, reward: real }),
      z.strictObject({ target: z.literal(true) }),
    ]),
  ),
  record,
});

const sgd = z.strictObject({ learner: z.literal('sgd'), steps: count, count, rewardSum: real, record });

/** The part of a learner's state that is not tensors. */
export const stateContent = z.discriminatedUnion('learner', [bayesian, sgd]);
export type StateContent = z.output<typeof stateContent>;

/** Sizes of the adapter of a state. */
interface Shape {
  readonly embeddingDim: number;
  readonly rank: number;
  readonly scale: number;
}

/**
 * A learner's state as tensors and content. The caller writes A and B themselves, `lora_A` and
 * `lora_B`.
 */
export function encodeState(
  state: LearnerState,
  { embeddingDim: d, rank: r }: Shape,
): { tensors: Record<string, NamedTensor>; content: StateContent } {
  return state.learner === 'sgd' ? encodeSgd(state, d, r) : encodeBayesian(state, d, r);
}

/** @throws CorruptObjectError when tensors are missing, of another shape, or not finite */
export function decodeState(
  content: StateContent,
  reader: TensorReader,
  shape: Shape,
  key: string,
): LearnerState {
  return content.learner === 'sgd'
    ? decodeSgd(content, reader, shape)
    : decodeBayesian(content, reader, shape, key);
}

function encodeBayesian(
  { statistics, picks, targets, buffered, ...state }: BayesianState,
  d: number,
  r: number,
) {
  const { gram, moment, ...sums } = statistics;
  const tensors: Record<string, NamedTensor> = {
    'statistics.gram': { shape: [gram.length], values: gram },
    'statistics.moment': { shape: [moment.length], values: moment },
  };
  // Earlier versions ignore tensors that they do not know, and read the rest of the state.
  if (picks !== null) {
    const { sum, squares, ranking } = picks;
    tensors['picks.sum'] = { shape: [sum.length], values: sum };
    tensors['picks.record'] = {
      shape: [4],
      values: Float64Array.of(squares, ranking.count, ranking.excess, ranking.squares),
    };
  }
  if (targets !== null) {
    tensors['targets.szz'] = { shape: [targets.szz.length], values: targets.szz };
    tensors['targets.stz'] = { shape: [d, r], values: targets.stz };
  }
  if (buffered.length > 0) {
    tensors['waiting.embedding'] = stackHalves(buffered.map(({ embedding }) => embedding));
    const wanted = buffered.flatMap((interaction) => ('target' in interaction ? [interaction.target] : []));
    if (wanted.length > 0) tensors['waiting.target'] = stackHalves(wanted);
  }
  const content: StateContent = {
    ...state,
    statistics: sums,
    targets: targets === null ? null : { count: targets.count },
    waiting: buffered.map((interaction) =>
      'target' in interaction
        ? { target: true as const }
        : { residualReward: interaction.residualReward, reward: interaction.reward },
    ),
  };
  return { tensors, content };
}

function decodeBayesian(
  content: z.output<typeof bayesian>,
  reader: TensorReader,
  { embeddingDim: d, rank: r }: Shape,
  key: string,
): BayesianState {
  const size = reader.rows('statistics.moment');
  if (size < 1 || (content.basisId === null && size !== 1)) {
    throw new CorruptObjectError(
      key,
      `found ${size} coefficients, expected at least 1, and 1 without a basis`,
    );
  }
  const { waiting, ...rest } = content;
  return {
    ...rest,
    statistics: {
      gram: reader.read('statistics.gram', Float64Array, [packedLength(size)]),
      moment: reader.read('statistics.moment', Float64Array, [size]),
      ...content.statistics,
    },
    picks: readPicks(reader, size),
    targets:
      content.targets === null
        ? null
        : {
            szz: reader.read('targets.szz', Float64Array, [packedLength(r)]),
            stz: reader.read('targets.stz', Float64Array, [d, r]),
            ...content.targets,
          },
    buffered: readBuffered(reader, waiting, d),
  };
}

function readPicks(reader: TensorReader, size: number): Picks | null {
  if (!reader.has('picks.sum')) return null;
  const [squares, count, excess, ranked] = reader.read('picks.record', Float64Array, [4]) as unknown as [
    number,
    number,
    number,
    number,
  ];
  return {
    sum: reader.read('picks.sum', Float64Array, [size]),
    squares,
    ranking: { count, excess, squares: ranked },
  };
}

function encodeSgd({ learner, steps, count, rewardSum, record, a, b }: SgdState, d: number, r: number) {
  const tensors: Record<string, NamedTensor> = {};
  for (const [name, matrix, shape] of [['A', a, [r, d]] as const, ['B', b, [d, r]] as const]) {
    tensors[`anchor_${name}`] = { shape, values: matrix.anchor };
    tensors[`fisher_${name}`] = { shape, values: matrix.fisher };
  }
  const content: StateContent = { learner, steps, count, rewardSum, record };
  return { tensors, content };
}

function decodeSgd(
  content: z.output<typeof sgd>,
  reader: TensorReader,
  { embeddingDim, rank, scale }: Shape,
): SgdState {
  const matrix = (name: 'A' | 'B', shape: [number, number]): ElasticMatrix => ({
    values: reader.read(`lora_${name}`, Float32Array, shape),
    anchor: reader.read(`anchor_${name}`, Float32Array, shape),
    fisher: reader.read(`fisher_${name}`, Float32Array, shape),
  });
  return {
    ...content,
    embeddingDim,
    rank,
    scale,
    a: matrix('A', [rank, embeddingDim]),
    b: matrix('B', [embeddingDim, rank]),
  };
}

function readBuffered(
  reader: TensorReader,
  entries: z.output<typeof bayesian>['waiting'],
  d: number,
): BufferedInteraction[] {
  if (entries.length === 0) return [];
  const embeddings = reader.read('waiting.embedding', Float16Array, [entries.length, d]);
  const wanted = entries.filter((entry) => 'target' in entry).length;
  const targets = wanted === 0 ? null : reader.read('waiting.target', Float16Array, [wanted, d]);
  let nextTarget = 0;
  return entries.map((entry, i) => {
    const embedding = embeddings.slice(i * d, (i + 1) * d);
    if (!('target' in entry)) return { embedding, ...entry };
    const at = nextTarget++;
    return { embedding, target: targets!.slice(at * d, (at + 1) * d) };
  });
}
