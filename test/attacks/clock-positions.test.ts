import { type DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, test } from 'vitest';
import { type ConsolidationServices, consolidate } from '../../functions/consolidate-patterns/consolidate.ts';
import { TABLE } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { Lease } from '../../shared/storage/lease.ts';
import { createDeployment, FORCED } from '../functions/consolidate-patterns/deployment.ts';
import { EPISODE_VERSION_1 } from '../shared/storage/population-samples.ts';
import { SETTINGS, startWholeStack } from '../stack/running-stack.ts';

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

test('an episode of a cold instance is read although all clocks were an hour ahead before it started', {
  timeout: 120_000,
}, async () => {
  const running = await startWholeStack();
  try {
    const settings = {
      ...SETTINGS,
      bucket: running.output('bucketName'),
      table: running.output('tableName'),
    };
    const cell = cellOf(settings);
    const consolidationAt = (ahead: number): ConsolidationServices => ({
      cell,
      settings,
      learning: learningObjects(running.objects, settings, { maxAgeMs: 0 }),
      adapters: running.adapters,
      episodes: running.episodesBy(() => Date.now() + ahead),
      pending: new PendingEpisodes(running.objects),
      lease: new Lease(running.objects, cell),
      now: () => Date.now() + ahead,
      onCorrupt: (error) => {
        throw error;
      },
    });
    const ahead = consolidationAt(HOUR);
    const ofAda = { ...EPISODE_VERSION_1, userKey: userKey('ada'), cell };
    await ahead.episodes.store({ ...ofAda, version: 1_000 });
    expect(await consolidate(ahead, FORCED)).toMatchObject({ newEpisodes: 1 });

    const body = encodeFeedbackEvent({
      eventId: 'ada-1',
      userId: 'ada',
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: [{ embedding: new Float32Array(SETTINGS.embeddingDim).fill(1), reward: 1 }],
    });
    const message = { id: '1', body, messageGroupId: userKey('ada'), messageDeduplicationId: '1' };
    await running.queue.sendBatch([message]);
    await running.stack.idle();
    await new PendingEpisodes(running.objects).put({ ...ofAda, version: 999 });

    const soon = await consolidate(consolidationAt(0), FORCED);
    const later = await consolidate(consolidationAt(HOUR + 60_000), FORCED);
    expect([soon, later]).toMatchObject([
      { newEpisodes: 0, pendingStored: 1 },
      { newEpisodes: 2, status: 'consolidated' },
    ]);
  } finally {
    await running.stop();
  }
});
