import { onTestFinished } from 'vitest';
import { startS3 } from '../../infra/local/s3/server.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { InMemoryEpisodeStore } from '../../shared/episodes/in-memory-episode-store.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { Quarantine } from '../../shared/feedback/quarantine.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { localS3Client } from './local-clients.ts';

/** Stores over a versioned bucket of a local S3, for one test. */
export async function createRecords() {
  const server = await startS3();
  const client = localS3Client(server.endpoint);
  onTestFinished(async () => {
    client.destroy();
    await server.close();
  });
  server.createBucket('adapters', { versioned: true });
  const objects = new ObjectStore(client, 'adapters');
  return {
    objects,
    adapters: new AdapterStore(objects),
    episodes: new InMemoryEpisodeStore(),
    pending: new PendingEpisodes(objects),
    quarantine: new Quarantine(objects),
  };
}
