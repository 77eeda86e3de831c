import { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import { learningObjects } from '../../shared/adapter-store/learning-objects.ts';
import { Lease } from '../../shared/adapter-store/lease.ts';
import { ObjectStore } from '../../shared/adapter-store/objects.ts';
import { PendingEpisodes } from '../../shared/adapter-store/pending-episodes.ts';
import { DynamoEpisodeStore } from '../../shared/reasoning-bank/dynamodb-episode-store.ts';
import { cellOf } from '../../shared/reasoning-bank/episode.ts';
import { dynamoClient } from '../../shared/runtime/clients/dynamodb.ts';
import { s3Client } from '../../shared/runtime/clients/s3.ts';
import { METRIC } from '../../shared/runtime/names.ts';
import { settingsFromEnvironment } from '../../shared/runtime/settings.ts';
import { MetricUnit, type Telemetry } from '../../shared/runtime/telemetry.ts';
import type { ConsolidationServices } from './consolidate.ts';

/** What the function works with, made once per container. */
export function createServices(
  env: Record<string, string | undefined>,
  { logger, metrics }: Telemetry,
): ConsolidationServices {
  const settings = settingsFromEnvironment(env);
  const objects = new ObjectStore(s3Client(), settings.bucket);
  const cell = cellOf(settings);
  return {
    cell,
    settings,
    learning: learningObjects(objects, settings),
    adapters: new AdapterStore(objects),
    episodes: new DynamoEpisodeStore(dynamoClient(), {
      table: settings.table,
      ttlDays: settings.episodeTtlDays,
    }),
    pending: new PendingEpisodes(objects),
    lease: new Lease(objects, cell),
    now: Date.now,
    onCorrupt: (error) => {
      metrics.addMetric(METRIC.corruptObjects, MetricUnit.Count, 1);
      logger.error('left out of consolidation', { error });
    },
  };
}
