import type { Figures, RowFigures } from './figures.ts';

/** The figures as a Markdown table. */
export function table({ rows }: Figures): string {
  const lines = rows.map(
    (row) =>
      `| ${row.name} | ${row.p10.toFixed(5)} | ${change(row)} | ${row.auc.toFixed(3)} | ${gain(row)} | ${row.ndcg.toFixed(3)} | ${row.upd20 ?? '–'} |`,
  );
  return [
    '| row | p10 | change of p10 | AUC | gain of AUC | NDCG@10 | upd20 |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function change({ name, delta, deltaCI: [low, high] }: RowFigures): string {
  return name === 'no-bank' ? '' : `${percent(delta)} [${percent(low)}, ${percent(high)}]`;
}

function gain({ name, aucGain, aucGainCI: [low, high] }: RowFigures): string {
  return name === 'no-bank' ? '' : `${signed(aucGain)} [${signed(low)}, ${signed(high)}]`;
}

function percent(value: number): string {
  return `${value > 0 ? '+' : value < 0 ? '−' : ''}${Math.abs(value * 100).toFixed(1)} %`;
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}
