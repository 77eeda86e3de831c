import { setTimeout as delay } from 'node:timers/promises';
import { AdapterCache } from '../../shared/adapter-store/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import { learningObjects, readSharedLearning } from '../../shared/adapter-store/learning-objects.ts';
import { ObjectStore } from '../../shared/adapter-store/objects.ts';
import { PendingEpisodes } from '../../shared/adapter-store/pending-episodes.ts';
import { Quarantine } from '../../shared/adapter-store/quarantine.ts';
import { DynamoEpisodeStore } from '../../shared/reasoning-bank/dynamodb-episode-store.ts';
import { guardedEpisodes } from '../../shared/reasoning-bank/guarded-episodes.ts';
import { dynamoClient } from '../../shared/runtime/clients/dynamodb.ts';
import { s3Client } from '../../shared/runtime/clients/s3.ts';
import { METRIC } from '../../shared/runtime/names.ts';
import { settingsFromEnvironment } from '../../shared/runtime/settings.ts';
import { MetricUnit, type Telemetry } from '../../shared/runtime/telemetry.ts';
import type { BatchServices } from './process-batch.ts';

/** What the function works with, made once per container. */
export function createServices(
  env: Record<string, string | undefined>,
  { logger, metrics }: Telemetry,
): Omit<BatchServices, 'signal'> {
  const settings = settingsFromEnvironment(env);
  const objects = new ObjectStore(s3Client(), settings.bucket);
  const shared = learningObjects(objects, settings);
  return {
    settings,
    adapters: new AdapterStore(objects),
    cache: new AdapterCache(),
    episodes: guardedEpisodes(
      new DynamoEpisodeStore(dynamoClient(), { table: settings.table, ttlDays: settings.episodeTtlDays }),
    ),
    pending: new PendingEpisodes(objects),
    quarantine: new Quarantine(objects),
    learning: () => readSharedLearning(shared, settings),
    freshLearning: () => readSharedLearning(shared, settings, 'refresh'),
    now: Date.now,
    backOff: (attempt) => delay(Math.random() * 25 * 2 ** attempt).then(() => undefined),
    onConflict: () => metrics.addMetric(METRIC.conflicts, MetricUnit.Count, 1),
    onPending: (error) => {
      metrics.addMetric(METRIC.episodesPending, MetricUnit.Count, 1);
      logger.warn('the ReasoningBank did not take an episode; it is pending', { error });
    },
    onFailure: (error, messageIds) => logger.error('messages to be delivered again', { error, messageIds }),
  };
}
