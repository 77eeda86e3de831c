import { createRandom } from '../../../shared/lora/random.ts';
import { noBank, PRIOR_VARIANCES, type SplitResult } from './rows.ts';
import type { UserResult } from './run.ts';

/** One row of the table. */
export interface RowFigures {
  readonly name: string;
  /** Mean over users of the mean squared error of predicted reward over their first ten updates. */
  readonly p10: number;
  /**
   * p10 relative to that of `no-bank` − 1; of `control`, relative to no adapter; of `bank-hostile`,
   * among honest users.
   */
  readonly delta: number;
  /** 95 % interval, by users. */
  readonly deltaCI: readonly [number, number];
  readonly auc: number;
  /** Over the same reference. */
  readonly aucGain: number;
  readonly aucGainCI: readonly [number, number];
  readonly ndcg: number;
  /** Updates until the loss that `no-bank` has after 20; null when never. */
  readonly upd20: number | null;
  /** Mean loss after 0, 1, 2, … updates, with its 95 % interval. */
  readonly curve: readonly CurvePoint[];
}

export interface CurvePoint {
  readonly loss: number;
  readonly low: number;
  readonly high: number;
}

export interface Figures {
  /** τ² of the best engine without a bank. */
  readonly priorVariance: number;
  readonly rows: readonly RowFigures[];
  /** The effect of hostile users on honest ones: p10 of `bank-hostile` over that of `bank` − 1. */
  readonly harm: number | null;
}

const EARLY_UPDATES = 10;
const CURVE_UPDATES = 40;
/** Points on either side in the average of a curve, before reading when it reaches a loss. */
const SMOOTHING = 2;
const RESAMPLES = 2000;

/** One user in one split, under one row and under the row to compare with. */
interface Pair {
  readonly userId: string;
  readonly own: UserResult;
  readonly reference: UserResult;
}

export function figuresOf(splits: readonly SplitResult[]): Figures {
  const names = [...splits[0]!.rows.keys()];
  const candidates = PRIOR_VARIANCES.filter((variance) => names.includes(noBank(variance)));
  const priorVariance = candidates.reduce((best, variance) =>
    pooledP10(splits, noBank(variance)) < pooledP10(splits, noBank(best)) ? variance : best,
  );
  const resultsOf = (split: SplitResult, name: string) =>
    split.rows.get(name === 'no-bank' ? noBank(priorVariance) : name)!;
  const pairsOf = (name: string, referenceName: string, honestOnly = false): Pair[] =>
    splits.flatMap((split) => {
      const references = new Map(resultsOf(split, referenceName).map((result) => [result.userId, result]));
      return resultsOf(split, name)
        .filter(({ userId }) => !honestOnly || !split.hostile.has(userId))
        .map((own) => ({ userId: own.userId, own, reference: references.get(own.userId)! }));
    });

  const target = smoothed(curveOf(pairsOf('no-bank', 'no-bank')))[20];
  const shown = ['no-bank', ...names.filter((name) => !name.startsWith('no-bank'))];
  const rows = shown.map((name): RowFigures => {
    const pairs = pairsOf(name, name === 'control' ? 'no-adapter' : 'no-bank', name === 'bank-hostile');
    const curve = curveOf(pairs);
    const reached = smoothed(curve).findIndex((loss) => target !== undefined && loss <= target);
    const ranked = pairs.filter(({ own, reference }) => own.auc !== undefined && reference.auc !== undefined);
    return {
      name,
      p10: mean(pairs.map(({ own }) => early(own))),
      ...relative(pairs, name),
      auc: mean(ranked.map(({ own }) => own.auc!)),
      ...aucGainOf(ranked, name),
      ndcg: mean(pairs.flatMap(({ own }) => own.ndcg ?? [])),
      upd20: reached === -1 ? null : reached,
      curve,
    };
  });
  const harmed = names.includes('bank-hostile') ? pairsOf('bank-hostile', 'bank', true) : [];
  return { priorVariance, rows, harm: harmed.length === 0 ? null : ratio(harmed) };
}

function pooledP10(splits: readonly SplitResult[], name: string): number {
  return mean(splits.flatMap((split) => split.rows.get(name)!.map(early)));
}

function early({ losses }: UserResult): number {
  return mean(losses.slice(0, EARLY_UPDATES));
}

function relative(pairs: readonly Pair[], name: string) {
  return { delta: ratio(pairs), deltaCI: interval(pairs, ratio, `delta ${name}`) };
}

function aucGainOf(pairs: readonly Pair[], name: string) {
  const gain = (some: readonly Pair[]) => mean(some.map(({ own, reference }) => own.auc! - reference.auc!));
  return { aucGain: gain(pairs), aucGainCI: interval(pairs, gain, `auc ${name}`) };
}

function ratio(pairs: readonly Pair[]): number {
  return sum(pairs.map(({ own }) => early(own))) / sum(pairs.map(({ reference }) => early(reference))) - 1;
}

/**
 * 95 % percentile bootstrap (Efron 1979). Draws users with replacement, each with all splits in
 * which the user was online, because a user's results in different splits are not independent.
 */
function interval(
  pairs: readonly Pair[],
  statistic: (pairs: readonly Pair[]) => number,
  seed: string,
): [number, number] {
  const users = [...Map.groupBy(pairs, ({ userId }) => userId).values()];
  const random = createRandom(seed);
  const values = Float64Array.from({ length: RESAMPLES }, () =>
    statistic(users.flatMap(() => users[random.integer(users.length)]!)),
  ).sort();
  return [values[Math.floor(0.025 * RESAMPLES)]!, values[Math.ceil(0.975 * RESAMPLES) - 1]!];
}

/** Normal intervals over the users so far. */
function curveOf(pairs: readonly Pair[]): CurvePoint[] {
  const curve: CurvePoint[] = [];
  for (let update = 0; update < CURVE_UPDATES; update++) {
    const losses = pairs.flatMap(({ own }) => own.losses[update] ?? []);
    if (losses.length < 2) break;
    const loss = mean(losses);
    const variance = sum(losses.map((value) => (value - loss) ** 2)) / (losses.length - 1);
    const error = 1.96 * Math.sqrt(variance / losses.length);
    curve.push({ loss, low: loss - error, high: loss + error });
  }
  return curve;
}

function smoothed(curve: readonly CurvePoint[]): number[] {
  return curve.map((_, i) =>
    mean(curve.slice(Math.max(0, i - SMOOTHING), i + SMOOTHING + 1).map(({ loss }) => loss)),
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
