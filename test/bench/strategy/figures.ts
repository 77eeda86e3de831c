import { createRandom } from '../../../shared/lora/random.ts';

/** Early loss of one user in one split. */
export interface Loss {
  readonly userId: string;
  readonly loss: number;
}

/**
 * The four deployments that are compared, on the same users of the same splits in the same order.
 */
export type Compared<T> = Readonly<Record<'best' | 'small' | 'smallLearned' | 'bestLearned', T>>;

type Row = Compared<number>;

const RESAMPLES = 2000;

/**
 * Recovered share of the gap between the small and the best rate, and the loss that learning adds
 * as a share of the best rate's loss.
 */
export function figuresOf(losses: Compared<readonly Loss[]>) {
  const byUser = new Map<string, Row[]>();
  losses.best.forEach(({ userId, loss: best }, i) => {
    const row = {
      best,
      small: losses.small[i]!.loss,
      smallLearned: losses.smallLearned[i]!.loss,
      bestLearned: losses.bestLearned[i]!.loss,
    };
    byUser.set(userId, [...(byUser.get(userId) ?? []), row]);
  });
  const users = [...byUser.values()];
  const rows = users.flat();
  return {
    users: rows.length,
    p10: meanOf(rows),
    recovered: recoveredOf(rows),
    recoveredCI: interval(users, recoveredOf, 'recovered'),
    lost: lostOf(rows),
    lostCI: interval(users, lostOf, 'lost'),
  };
}

function recoveredOf(rows: readonly Row[]): number {
  const { best, small, smallLearned } = meanOf(rows);
  return (small - smallLearned) / (small - best);
}

function lostOf(rows: readonly Row[]): number {
  const { best, bestLearned } = meanOf(rows);
  return bestLearned / best - 1;
}

function meanOf(rows: readonly Row[]): Row {
  const mean = (of: keyof Row) => rows.reduce((sum, row) => sum + row[of], 0) / rows.length;
  return {
    best: mean('best'),
    small: mean('small'),
    smallLearned: mean('smallLearned'),
    bestLearned: mean('bestLearned'),
  };
}

/**
 * 95 % percentile bootstrap (Efron 1979): users are drawn with replacement, each with all splits.
 */
function interval(
  users: readonly (readonly Row[])[],
  statistic: (rows: readonly Row[]) => number,
  seed: string,
): [number, number] {
  const random = createRandom(seed);
  const values = Float64Array.from({ length: RESAMPLES }, () =>
    statistic(users.flatMap(() => users[random.integer(users.length)]!)),
  ).sort();
  return [values[Math.floor(0.025 * RESAMPLES)]!, values[Math.ceil(0.975 * RESAMPLES) - 1]!];
}
