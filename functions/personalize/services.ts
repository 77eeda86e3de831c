import { AdapterCache } from '../../shared/adapter-store/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import { learningObjects, readSharedLearning } from '../../shared/adapter-store/learning-objects.ts';
import { ObjectStore } from '../../shared/adapter-store/objects.ts';
import { s3Client } from '../../shared/runtime/clients/s3.ts';
import { settingsFromEnvironment } from '../../shared/runtime/settings.ts';
import type { PersonalizeServices } from './personalize.ts';

/** What the function works with, made once per container. */
export function createServices(env: Record<string, string | undefined>): PersonalizeServices {
  const settings = settingsFromEnvironment(env);
  const objects = new ObjectStore(s3Client(), settings.bucket);
  const shared = learningObjects(objects, settings);
  return {
    settings,
    adapters: new AdapterStore(objects),
    cache: new AdapterCache(),
    learning: () => readSharedLearning(shared, settings),
    freshLearning: () => readSharedLearning(shared, settings, 'refresh'),
  };
}
