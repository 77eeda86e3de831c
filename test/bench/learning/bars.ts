import type { EmbeddingKind } from '../../../cli/replay/datasets/item-embeddings.ts';
import type { Figures } from './figures.ts';

/**
 * The bars of a quick run: loose enough for one split of 100 users, tight enough to fail when the
 * prior or item effects do not work. Hybrid embeddings show the prior, content embeddings the item
 * effects.
 * @returns one line for every missed bar
 */
export function missedBars({ rows }: Figures, kind: EmbeddingKind): string[] {
  const row = (name: string) => rows.find((candidate) => candidate.name === name)!;
  const bank = row('bank');
  const withoutItems = row('bank-without-items');
  const control = row('control');
  const bars: [what: string, found: number, atMost: number][] = [
    ['change of p10 by the bank', bank.delta, -0.03],
    ['the same with a basis learned from feedback', row('bank-no-catalogue').delta, bank.delta + 0.03],
    ['loss of AUC by the bank', -bank.aucGain, 0.05],
    ['gain of p10 by the bank when items are exchanged at random', -control.delta, 0.05],
    kind === 'hybrid'
      ? ['change of p10 by the prior alone', withoutItems.delta, -0.03]
      : ['change of p10 by item effects', bank.delta - withoutItems.delta, -0.02],
  ];
  return bars
    .filter(([, found, atMost]) => !(found <= atMost))
    .map(
      ([what, found, atMost]) => `${what}: found ${found.toFixed(4)}, expected at most ${atMost.toFixed(4)}`,
    );
}
