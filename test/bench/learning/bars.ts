import type { Figures } from './figures.ts';

/**
 * What a quick run is held to: loose enough for one split of 100 users, tight enough that a prior or item effects that do not work
 * miss them.
 * @returns one line for every bar that is missed
 */
export function missedBars({ rows }: Figures): string[] {
  const missed: string[] = [];
  const expect = (
    name: string,
    figure: 'delta' | 'aucGain',
    holds: (value: number) => boolean,
    bar: string,
  ) => {
    const value = rows.find((row) => row.name === name)?.[figure] ?? Number.NaN;
    if (!holds(value)) missed.push(`${figure} of ${name}: found ${value.toFixed(4)}, expected ${bar}`);
  };
  expect('bank', 'delta', (delta) => delta <= -0.04, 'at most -0.04');
  expect('bank', 'aucGain', (gain) => gain >= 0, 'at least 0');
  expect('bank-without-items', 'delta', (delta) => delta <= -0.02, 'at most -0.02');
  expect('bank-no-catalogue', 'delta', (delta) => delta <= -0.02, 'at most -0.02');
  expect('control', 'delta', (delta) => delta >= -0.01, 'at least -0.01');
  return missed;
}
