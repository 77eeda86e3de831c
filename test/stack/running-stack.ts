import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalStack, type LocalStackOptions } from '../../infra/local/local-stack.ts';
import { synthesize } from '../../infra/synth.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { type DeploymentSettings, settingsFromContext } from '../../shared/config/settings.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { SqsFeedbackQueue } from '../../shared/feedback/sqs-queue.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { localClients } from '../support/local-clients.ts';

export const SETTINGS = settingsFromContext({ embeddingDim: 16, embeddingModel: 'test-model' });

/**
 * The stack as deployed, with the bundled functions, and stores to inspect it.
 * @param more settings in addition to SETTINGS
 */
export async function startWholeStack(
  more: Partial<DeploymentSettings> = {},
  options: Omit<LocalStackOptions, 'assemblyDir'> = {},
) {
  const assemblyDir = await mkdtemp(join(tmpdir(), 'attune-test-'));
  const { embeddingDim, embeddingModel } = SETTINGS;
  synthesize({ check: false, outdir: assemblyDir, settings: { embeddingDim, embeddingModel, ...more } });
  const stack = await LocalStack.start({ schedules: false, ...options, assemblyDir });
  const clients = localClients(stack.endpoints);
  const { sqs, s3, dynamodb, lambda } = clients;
  const output = (name: keyof typeof OUTPUT) => stack.outputs[OUTPUT[name]]!;
  const objects = new ObjectStore(s3, output('bucketName'));
  const episodesBy = (now: () => number) =>
    new DynamoEpisodeStore(dynamodb, { table: output('tableName'), ttlDays: 90, now });
  return {
    stack,
    output,
    objects,
    sqs,
    lambda,
    queue: new SqsFeedbackQueue(sqs, output('feedbackQueueUrl')),
    adapters: new AdapterStore(objects),
    learning: learningObjects(objects, { ...SETTINGS, ...more }, { maxAgeMs: 0 }),
    episodes: episodesBy(Date.now),
    /** The episodes as an instance with this clock stores them. */
    episodesBy,
    async stop() {
      clients.destroy();
      await stack.stop();
      await rm(assemblyDir, { recursive: true, force: true });
    },
  };
}
