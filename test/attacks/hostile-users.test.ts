import { beforeAll, expect, test } from 'vitest';
import { userKey } from '../../shared/config/user-key.ts';
import { tellHarm } from '../support/harm.ts';
import { ATTACKS, type Attack, type Played, play } from '../support/hostile-users.ts';
import { longestRefusal } from '../support/longest-refusal.ts';

let peace: Played;
beforeAll(async () => {
  peace = await play('none');
});

/**
 * p10 of the other users on MovieLens content and MovieTweetings content when the attack was found.
 */
const BEFORE: Record<Attack | 'mixed', string> = {
  inverting: 'p10 +1.2 to +2.5 %',
  random: 'p10 +0.5 %',
  'all 0': 'p10 +1.4 to +3.5 %',
  'all 1': 'p10 +0.6 %',
  'extreme targets': 'p10 +8.3 %',
  'concentrated on the best item': 'p10 +1.3 %',
  mixed: 'p10 +1.9 %',
};

test.for([...(Object.keys(ATTACKS) as Attack[]), 'mixed' as const])(
  'one user in twenty who is hostile (%s) costs the others at most a hundredth of their loss and of their ranking',
  { timeout: 120_000 },
  async (attack, context) => {
    const war = await play(attack);
    const loss = war.p10 / peace.p10 - 1;
    const ranking = war.auc - peace.auc;
    tellHarm(context, {
      before: BEFORE[attack],
      now: `p10 ${percent(loss)}, AUC ${percent(ranking)}`,
    });
    expect(loss).toBeLessThan(0.01);
    expect(ranking).toBeGreaterThan(-0.01);
    expect(longestRefusal(war.accepted)).toBeLessThanOrEqual(1);
  },
);

test('users who give the same to everything are reported by key', { timeout: 120_000 }, async () => {
  const { unusualUsers } = await play('all 0');
  const hostile = [7, 27, 47, 67, 87, 107].map((user) => userKey(`user ${user}`));
  expect(hostile.filter((key) => unusualUsers.has(key))).toEqual(hostile);
});

function percent(share: number): string {
  return `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(2)} %`;
}
