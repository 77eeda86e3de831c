import { expect, test } from 'vitest';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { itemKey } from '../../shared/episodes/episode.ts';
import { InvalidEventError, parseFeedbackEvent } from '../../shared/feedback/event.ts';
import { effectOfItem, type PopulationModel } from '../../shared/population/population-model.ts';
import { isValidationUser } from '../../shared/population/validation-fold.ts';
import { tellHarm } from '../support/harm.ts';
import { ATTACKS, BEST, deploy, items, publish } from '../support/hostile-users.ts';

const HONEST = 60;

/** A consolidated deployment of honest users, before and after the messages of `attack`. */
async function attacked(attack: (of: Awaited<ReturnType<typeof deploy>>['deployment']) => Promise<void>) {
  const play = async (hostile: boolean) => {
    const { deployment, population } = await deploy();
    for (let user = 0; user < HONEST; user++) await publish(deployment, `user ${user}`, 8);
    await deployment.consolidate(true);
    if (hostile) await attack(deployment);
    // All users come back twice, so that there is something to consolidate.
    const reports: ConsolidationReport[] = [];
    for (const events of [9, 10]) {
      for (let user = 0; user < HONEST; user++) await publish(deployment, `user ${user}`, events);
      reports.push(await deployment.consolidate(true));
    }
    return { population: await population(), reports };
  };
  const [peace, war] = [await play(false), await play(true)];
  return { peace: peace.population, war: war.population, reports: war.reports };
}

const changes = (peace: PopulationModel, war: PopulationModel) =>
  items.map(
    (_, i) => effectOfItem(war.items, itemKey(`item ${i}`)) - effectOfItem(peace.items, itemKey(`item ${i}`)),
  );

test('six hostile events of one user move the effect of the best item by .05 at most, and no other effect', {
  timeout: 60_000,
}, async (context) => {
  const { peace, war } = await attacked((deployment) =>
    publish(deployment, 'mallory', 6, ATTACKS['concentrated on the best item']),
  );
  const moved = changes(peace, war);
  const others = moved.filter((_, i) => i !== BEST).map(Math.abs);
  tellHarm(context, {
    before: 'effect +.120 → −.459',
    now: `effect ${effectOfItem(peace.items, itemKey(`item ${BEST}`)).toFixed(3)} → ${effectOfItem(war.items, itemKey(`item ${BEST}`)).toFixed(3)}`,
  });
  expect(peace.items.sums.get(itemKey(`item ${BEST}`))!.count + 1).toBe(
    war.items.sums.get(itemKey(`item ${BEST}`))!.count,
  );
  expect(Math.abs(moved[BEST]!)).toBeLessThanOrEqual(0.05);
  expect(Math.max(...others)).toBeLessThan(0.01);
});

test('a bot that gives 500 rewards of zero does not move the mean reward', {
  timeout: 60_000,
}, async (context) => {
  const { peace, war, reports } = await attacked((deployment) =>
    publish(deployment, 'zero', 100, ATTACKS['all 0']),
  );
  tellHarm(context, {
    before: 'g0 .595 → .204',
    now: `g0 ${peace.prior.meanReward.toFixed(3)} → ${war.prior.meanReward.toFixed(3)}`,
  });
  expect(Math.abs(war.prior.meanReward - peace.prior.meanReward)).toBeLessThan(0.005);
  expect(reports.at(-1)!.unusualUsers).toMatchObject([{ userKey: userKey('zero') }]);
});

test('two bots with random rewards, one of them in the validation fold, neither cause the rejection of a prior nor raise the noise', {
  timeout: 60_000,
}, async (context) => {
  const bots = [false, true].map(
    (inside) =>
      Array.from({ length: 100 }, (_, i) => `bot ${i}`).find(
        (id) => isValidationUser(userKey(id)) === inside,
      )!,
  );
  const { peace, war, reports } = await attacked(async (deployment) => {
    for (const bot of bots) await publish(deployment, bot, 100, ATTACKS.random);
  });
  tellHarm(context, {
    before: 'noise .025 → .125, refits refused',
    now: `noise ${peace.prior.noiseVariance.toFixed(4)} → ${war.prior.noiseVariance.toFixed(4)}, refits accepted: ${reports.filter(({ priorAccepted }) => priorAccepted).length} of ${reports.length}`,
  });
  // No refit is blocked for more than one run.
  expect(reports.some(({ priorAccepted }) => priorAccepted)).toBe(true);
  expect(war.prior.noiseVariance / peace.prior.noiseVariance).toBeLessThan(1.1);
});

test('four users with targets as long as allowed do not bend the prior', {
  timeout: 60_000,
}, async (context) => {
  const { peace, war, reports } = await attacked(async (deployment) => {
    for (let user = 0; user < 4; user++)
      await publish(deployment, `aimer ${user}`, 10, ATTACKS['extreme targets']);
  });
  tellHarm(context, {
    before: 'noise .0298 → 22,468',
    now: `noise ${peace.prior.noiseVariance.toFixed(4)} → ${war.prior.noiseVariance.toFixed(4)}`,
  });
  // No refit is blocked for more than one run.
  expect(reports.some(({ priorAccepted }) => priorAccepted)).toBe(true);
  expect(war.prior.noiseVariance / peace.prior.noiseVariance).toBeLessThan(1.25);
});

test('a target more than four times as long as its item is refused, and the error names the factor', () => {
  const event = (times: number) =>
    JSON.stringify({
      schemaVersion: 1,
      eventId: 'e',
      userId: 'mallory',
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: [{ embedding: [1, 0], target: [times, 0] }],
    });
  const settings = { embeddingDim: 2, embeddingModel: 'm' };
  expect(parseFeedbackEvent(event(4), settings).interactions).toHaveLength(1);
  expect(() => parseFeedbackEvent(event(65_504), settings)).toThrow(InvalidEventError);
  expect(() => parseFeedbackEvent(event(65_504), settings)).toThrow(
    'interactions[0].target: found a vector 6.6e+4 times as long as its item, expected at most 4 times',
  );
});
