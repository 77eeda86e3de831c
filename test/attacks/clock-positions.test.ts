import { type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, test } from 'vitest';
import { consolidate } from '../../functions/consolidate-patterns/consolidate.ts';
import { bodyOf, failure, isHttp } from '../../functions/personalize/http.ts';
import { TABLE } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { createDeployment, FORCED } from '../functions/consolidate-patterns/deployment.ts';

const HOUR = 3_600_000;

test('consolidation reads every episode once, also after the clock of a writer was an hour ahead', async () => {
  const { services, crowd, feedback, clock, pass } = await createDeployment();
  await crowd(5);
  clock.time += HOUR;
  await crowd(10, 3);
  pass(1);
  const ahead = await consolidate(services, FORCED);
  clock.time -= HOUR;
  for (let user = 0; user < 10; user++) await feedback(`user ${user}`, 3);
  pass(1);
  const soon = await consolidate(services, FORCED);
  pass(HOUR + 1);
  const later = await consolidate(services, FORCED);
  expect(ahead.newEpisodes + soon.newEpisodes + later.newEpisodes).toBe(40);
});

test('a warm writer never stores an episode before its previous position', async () => {
  const positions: string[] = [];
  const client = {
    send: async (command: unknown) => {
      if (command instanceof PutItemCommand)
        positions.push(command.input.Item?.[TABLE.byCell.sortKey]?.S ?? '');
      return {};
    },
  } as DynamoDBClient;
  let time = 10 * HOUR;
  const store = new DynamoEpisodeStore(client, { table: 'table', ttlDays: 1, now: () => time });
  const { services, feedback } = await createDeployment();
  await feedback('ada', 0);
  const { adapter } = await services.adapters.find(userKey('ada'));
  for (const change of [0, -HOUR, HOUR / 2, HOUR]) {
    time += change;
    await store.store(adapter!.lastEpisode!);
  }
  const times = positions.map((position) => Number(position.split('#')[0]));
  expect(times).toEqual([10 * HOUR, 10 * HOUR + 1, 10 * HOUR + 2, 10.5 * HOUR]);
});

test.each([null, {}, { method: null }, { method: 'GET' }])(
  'an Invoke whose requestContext.http is %j is answered with 400',
  (http) => {
    const payload = { requestContext: { http }, body: '{}' };
    expect(isHttp(payload)).toBe(true);
    let answer: unknown;
    try {
      bodyOf(payload as never);
    } catch (error) {
      answer = failure(error);
    }
    expect(answer).toMatchObject({ statusCode: 400 });
  },
);
