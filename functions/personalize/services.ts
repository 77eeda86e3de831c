import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { settingsFromEnvironment } from '../../shared/config/settings.ts';
import { damageReporter, type Telemetry } from '../../shared/config/telemetry.ts';
import { learningObjects, readSharedLearning } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import type { RecommendServices } from './recommend.ts';

/** The services of the function, created once per instance. */
export function createServices(
  env: Record<string, string | undefined>,
  telemetry: Telemetry,
): RecommendServices {
  const settings = settingsFromEnvironment(env);
  const objects = new ObjectStore(s3Client(), settings.bucket);
  const onDamage = damageReporter(telemetry);
  const shared = learningObjects(objects, settings, { onDamage });
  return {
    settings,
    adapters: new AdapterStore(objects, onDamage),
    cache: new AdapterCache(),
    catalogue: new CatalogueReader(objects, settings, { onDamage }),
    learning: () => readSharedLearning(shared, settings),
    neighbours: () => shared.neighbours.read(),
    freshLearning: () => readSharedLearning(shared, settings, 'refresh'),
    now: Date.now,
  };
}
