import { fork } from 'node:child_process';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { startS3 } from '../../../infra/local/s3/server.ts';
import type { StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { AdapterStore } from '../../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../../shared/config/settings.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../../shared/storage/objects.ts';
import { SETTINGS } from '../../support/container.ts';
import { localS3Client } from '../../support/local-clients.ts';
import { startTable, TABLE_NAME } from '../bank/table.ts';
import type { MeasuredRun, RunOptions } from './one-run.ts';
import { createPopulation } from './population.ts';

const BUCKET = 'bench';
const EVENT = 5;

/** A deployment of many users with a basis, in the local S3 and DynamoDB. */
export async function startDeployment({ dim, users }: { dim: number; users: number }) {
  const settings: FunctionSettings = {
    ...SETTINGS,
    bucket: BUCKET,
    table: TABLE_NAME,
    embeddingDim: dim,
    embeddingModel: 'bench',
    rank: 4,
  };
  const s3 = await startS3();
  s3.createBucket(BUCKET, { versioned: true });
  const table = await startTable();
  const client = localS3Client(s3.endpoint);
  const objects = new ObjectStore(client, BUCKET);
  const adapters = new AdapterStore(objects);
  const learning = learningObjects(objects, settings, { maxAgeMs: 0 });
  const population = createPopulation(dim);
  const basis = basisFromEmbeddings(population.items, { rank: 4, scalingFactor: 1, seed: 1 });
  await learning.basis.write({ basis, embeddingModel: settings.embeddingModel });
  let events = 0;

  return {
    /**
     * Lets users give feedback in turns, as the update function applies it. Writes only the last
     * version of each adapter.
     */
    async feedback(interactions: number): Promise<void> {
      const shared = await readSharedLearning(learning, settings);
      const episodes: Episode[] = [];
      const perUser = Map.groupBy(
        Array.from({ length: interactions / EVENT }, (_, i) => events + i),
        (event) => event % users,
      );
      events += interactions / EVENT;
      for (const [user, indices] of perUser) {
        const userId = `user ${user}`;
        const key = userKey(userId);
        const before = await adapters.load(key);
        let adapter: StoredAdapter | undefined = before?.adapter;
        for (const event of indices) {
          const applied = applyEvents(adapter, [population.event(userId, event, EVENT)], shared, {
            userKey: key,
            settings,
            now: Date.now(),
          });
          adapter = applied.adapter!;
          episodes.push(adapter.lastEpisode!);
        }
        if (adapter !== undefined) await adapters.commit(adapter, before?.etag);
      }
      await table.fill(episodes, () => Date.now());
    },

    /** Runs consolidation on all new episodes, in a separate process. */
    consolidate: () => runInChild({ s3: s3.endpoint, dynamodb: table.endpoint, settings }),

    async stop(): Promise<void> {
      client.destroy();
      await table.stop();
      await s3.close();
    },
  };
}

function runInChild(options: RunOptions): Promise<MeasuredRun> {
  const child = fork(new URL('./one-run.ts', import.meta.url), {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the run ended with exit code ${code}`)));
    child.send(options);
  });
}
