import { bootstrapInterval, mean } from '../../../cli/replay/datasets/ranking-metrics.ts';
import type { RankingMetrics } from './metrics.ts';
import { type Played, STAGES } from './play.ts';

/** The results of a row; lists are by stage: after 5, 10 and all picks. */
export interface RowFigures {
  readonly name: string;
  /** Users ranked after their last pick, over all splits. */
  readonly users: number;
  readonly ndcg: readonly number[];
  readonly ndcgCI: readonly (readonly [number, number])[];
  readonly recall: readonly number[];
  readonly auc: readonly number[];
  /** NDCG of the row `choice` minus that of this row, paired by users. */
  readonly choiceGain: readonly number[];
  readonly choiceGainCI: readonly (readonly [number, number])[];
}

export function figuresOf(played: ReadonlyMap<string, readonly Played[]>): RowFigures[] {
  const reference = played.get('choice')!;
  return [...played].map(([name, splits]) => {
    const stages = STAGES.map((_, stage) => {
      const users = metricsOf(splits, stage);
      const ndcg = users.map((user) => user.ndcg);
      // Of one split, all rows rank the same users at the same moments.
      const gain = metricsOf(reference, stage).map((user, i) => user.ndcg - ndcg[i]!);
      return {
        users: users.length,
        ndcg: mean(ndcg)!,
        ndcgCI: interval(ndcg),
        recall: mean(users.map((user) => user.recall))!,
        auc: mean(users.map((user) => user.auc))!,
        gain: mean(gain)!,
        gainCI: interval(gain),
      };
    });
    return {
      name,
      users: stages.at(-1)!.users,
      ndcg: stages.map((stage) => stage.ndcg),
      ndcgCI: stages.map((stage) => stage.ndcgCI),
      recall: stages.map((stage) => stage.recall),
      auc: stages.map((stage) => stage.auc),
      choiceGain: stages.map((stage) => stage.gain),
      choiceGainCI: stages.map((stage) => stage.gainCI),
    };
  });
}

export function table(figures: readonly RowFigures[]): string {
  const lines = figures.map(({ name, ndcg, ndcgCI, recall, auc, choiceGain, choiceGainCI }) => {
    const cells = ndcg.map((value, i) => `${short(value)} [${ndcgCI[i]!.map(short).join(', ')}]`);
    const gain =
      name === 'choice' ? '' : `${short(choiceGain.at(-1)!)} [${choiceGainCI.at(-1)!.map(short).join(', ')}]`;
    return `| ${[name, ...cells, short(recall.at(-1)!), short(auc.at(-1)!), gain].join(' | ')} |`;
  });
  return [
    '| row | after 5 | after 10 | after all | recall@20 | AUC | choice − row |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

/** What the quick run must hold: clicks teach more than popularity, and chance teaches nothing. */
export function missedBars(figures: readonly RowFigures[]): string[] {
  const last = (name: string) => figures.find((row) => row.name === name)!;
  const missed: string[] = [];
  const [low] = last('popularity').choiceGainCI.at(-1)!;
  if (!(low > 0))
    missed.push(`choice − popularity after all picks: at least ${short(low)}, expected more than 0`);
  // Two rows of equal worth differ by chance, in either direction.
  const [control] = last('control').ndcgCI.at(-1)!;
  const bar = last('control-popularity').ndcg.at(-1)!;
  if (!(control <= bar))
    missed.push(
      `control: NDCG@20 of at least ${short(control)}, expected no more than popularity's on the same shuffled events, ${short(bar)}`,
    );
  return missed;
}

function metricsOf(splits: readonly Played[], stage: number): RankingMetrics[] {
  return splits.flatMap((split) => split[stage]!.filter((metrics) => metrics !== undefined));
}

function interval(values: readonly number[]): [number, number] {
  const { low, high } = bootstrapInterval(values, { seed: 'ranking' });
  return [low, high];
}

function short(value: number): string {
  return `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(3)}`;
}
