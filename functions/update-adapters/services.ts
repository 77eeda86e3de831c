import { setTimeout as delay } from 'node:timers/promises';
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { dynamoClient } from '../../shared/config/clients/dynamodb.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';
import { METRIC, VARIABLE } from '../../shared/config/names.ts';
import { settingsFromEnvironment } from '../../shared/config/settings.ts';
import { damageReporter, MetricUnit, type Telemetry } from '../../shared/config/telemetry.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { guardedEpisodeStore } from '../../shared/episodes/guarded-episode-store.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { CorruptObjectError } from '../../shared/errors.ts';
import { Quarantine } from '../../shared/feedback/quarantine.ts';
import { Redelivery } from '../../shared/feedback/redelivery.ts';
import { learningObjects, readSharedLearning } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import type { BatchServices } from './process-batch.ts';

/** The services of the function, created once per instance. */
export function createServices(
  env: Record<string, string | undefined>,
  telemetry: Telemetry,
): Omit<BatchServices, 'signal'> {
  const settings = settingsFromEnvironment(env);
  const objects = new ObjectStore(s3Client(), settings.bucket);
  const { logger, metrics } = telemetry;
  const onDamage = damageReporter(telemetry);
  const shared = learningObjects(objects, settings, { onDamage });
  return {
    settings,
    adapters: new AdapterStore(objects),
    cache: new AdapterCache(),
    catalogue: new CatalogueReader(objects, settings, { onDamage }),
    episodes: guardedEpisodeStore(
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
      logger.warn('the ReasoningBank did not accept an episode, it is pending', { error });
    },
    onFailure: (error, messageIds, eventIds) => {
      if (error instanceof CorruptObjectError) onDamage(error);
      logger.error('messages failed, they will be delivered again', {
        error,
        messageIds,
        eventIds,
      });
    },
  };
}

/**
 * Undefined without a queue in the environment. Failed messages then wait for the visibility
 * timeout.
 */
export function createRedelivery(env: Record<string, string | undefined>): Redelivery | undefined {
  const queueUrl = env[VARIABLE.queueUrl];
  if (queueUrl === undefined) return undefined;
  return new Redelivery(sqsClient(), queueUrl, Number(env[VARIABLE.longestRetrySeconds]), Math.random);
}
