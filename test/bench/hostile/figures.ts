import { bootstrapInterval } from '../../../cli/replay/datasets/ranking-metrics.ts';
import { longestRefusal } from '../../support/longest-refusal.ts';
import type { Attack } from './attacks.ts';
import type { Feedback, HonestUser, PlayedAttack } from './play.ts';

/** A change that an attack makes for honest users, with its 95 % interval by users. */
interface Change {
  readonly by: number;
  readonly interval: readonly [number, number];
}

export interface AttackFigures {
  readonly feedback: Feedback;
  readonly attack: Attack;
  /** Of p10, as a share; null for picks. */
  readonly p10: Change | null;
  readonly auc: Change;
  readonly ndcg: Change;
  /** Most fits in a row whose prior was turned down. */
  readonly refused: number;
  /** The same when all are honest. */
  readonly refusedInPeace: number;
}

/** Most that an attack may cost: share of p10, AUC, NDCG. */
const BAR = 0.01;

/** @param played by split, when all are honest and under the attack */
export function figuresOf(
  feedback: Feedback,
  attack: Attack,
  played: readonly { readonly peace: PlayedAttack; readonly war: PlayedAttack }[],
): AttackFigures {
  const change = (value: (user: HonestUser) => number | undefined) => changeOf(played, value);
  const p10 = feedback === 'rewards' ? change(({ p10 }) => p10) : null;
  const inPeace = meanOf(played, ({ p10 }) => p10);
  return {
    feedback,
    attack,
    p10: p10 && { by: p10.by / inPeace, interval: [p10.interval[0] / inPeace, p10.interval[1] / inPeace] },
    auc: change(({ auc }) => auc),
    ndcg: change(({ ndcg }) => ndcg),
    refused: Math.max(...played.map(({ war }) => longestRefusal(war.accepted))),
    refusedInPeace: Math.max(...played.map(({ peace }) => longestRefusal(peace.accepted))),
  };
}

/** What an attack costs beyond the bar, in words. */
export function missedBars({
  feedback,
  attack,
  p10,
  auc,
  ndcg,
  refused,
  refusedInPeace,
}: AttackFigures): string[] {
  if (attack === 'silent') return [];
  const name = `${attack}, ${feedback}`;
  const bars: [what: string, found: number, atMost: number][] = [
    ['change of p10', p10?.by ?? 0, BAR],
    ['loss of AUC', -auc.by, BAR],
    ['loss of NDCG', -ndcg.by, BAR],
    ['fits turned down in a row', refused, Math.max(1, refusedInPeace)],
  ];
  return bars
    .filter(([, found, atMost]) => !(found <= atMost))
    .map(
      ([what, found, atMost]) => `${name}: ${what}: found ${found.toFixed(4)}, expected at most ${atMost}`,
    );
}

export function table(figures: readonly AttackFigures[]): string {
  const lines = figures.map(({ feedback, attack, p10, auc, ndcg, refused, refusedInPeace }) =>
    [
      '',
      feedback,
      attack,
      p10 === null ? '' : shown(p10, ({ by }) => `${signed(100 * by, 2)} %`, 100, 1),
      shown(auc, ({ by }) => signed(by, 4), 1, 3),
      shown(ndcg, ({ by }) => signed(by, 4), 1, 3),
      `${refused} (${refusedInPeace})`,
      '',
    ]
      .join(' | ')
      .trim(),
  );
  return [
    '| feedback | one user in twenty | p10 | AUC | NDCG | turned down in a row (in peace) |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function shown(change: Change, by: (change: Change) => string, times: number, digits: number): string {
  const [low, high] = change.interval.map((bound) => signed(times * bound, digits));
  return `${by(change)} [${low}, ${high}]`;
}

function signed(value: number, digits: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
}

/** Users stand for themselves over all splits that they were online in. */
function changeOf(
  played: readonly { readonly peace: PlayedAttack; readonly war: PlayedAttack }[],
  value: (user: HonestUser) => number | undefined,
): Change {
  const pairs = played.flatMap(({ peace, war }) => {
    const before = new Map(peace.honest.map((user) => [user.userId, value(user)]));
    return war.honest.flatMap((user) => {
      const [now, then] = [value(user), before.get(user.userId)];
      return now === undefined || then === undefined ? [] : [{ userId: user.userId, change: now - then }];
    });
  });
  const byUser = [...Map.groupBy(pairs, ({ userId }) => userId).values()].map((own) =>
    mean(own.map(({ change }) => change)),
  );
  const { low, high } = bootstrapInterval(byUser, { seed: 'hostile' });
  return { by: mean(pairs.map(({ change }) => change)), interval: [low, high] };
}

function meanOf(
  played: readonly { readonly peace: PlayedAttack }[],
  value: (user: HonestUser) => number | undefined,
): number {
  return mean(played.flatMap(({ peace }) => peace.honest.flatMap((user) => value(user) ?? [])));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
