import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { dynamoClient } from '../../shared/config/clients/dynamodb.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { settingsFromEnvironment } from '../../shared/config/settings.ts';
import { damageReporter, type Telemetry } from '../../shared/config/telemetry.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { Lease } from '../../shared/storage/lease.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import type { ConsolidationServices } from './consolidate.ts';

/** The services of the function, created once per instance. */
export function createServices(
  env: Record<string, string | undefined>,
  telemetry: Telemetry,
): ConsolidationServices & { readonly objects: ObjectStore } {
  const settings = settingsFromEnvironment(env);
  const objects = new ObjectStore(s3Client(), settings.bucket);
  const cell = cellOf(settings);
  const onDamage = damageReporter(telemetry);
  return {
    cell,
    settings,
    objects,
    learning: learningObjects(objects, settings, { onDamage }),
    adapters: new AdapterStore(objects),
    episodes: new DynamoEpisodeStore(dynamoClient(), {
      table: settings.table,
      ttlDays: settings.episodeTtlDays,
    }),
    pending: new PendingEpisodes(objects),
    lease: new Lease(objects, cell),
    now: Date.now,
    onCorrupt: onDamage,
  };
}
