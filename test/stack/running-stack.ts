import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { LocalStack, type LocalStackOptions } from '../../infra/local/local-stack.ts';
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
  const { embeddingDim, embeddingModel } = SETTINGS;
  const assemblyDir = await assemblyOf({ embeddingDim, embeddingModel, ...more });
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
    },
  };
}

/**
 * The folder of the stack with these settings, which all test files of a run share: read it only.
 */
async function assemblyOf(settings: Partial<DeploymentSettings>): Promise<string> {
  const assemblies = process.env.ATTUNE_TEST_ASSEMBLIES!;
  const shared = join(assemblies, createHash('sha256').update(JSON.stringify(settings)).digest('hex'));
  if (existsSync(shared)) return shared;
  // Loading the CDK takes seconds.
  const { synthesize } = await import('../../infra/synth.ts');
  const own = await mkdtemp(join(assemblies, 'own-'));
  synthesize({ check: false, outdir: own, settings });
  await rename(own, shared).catch((error: NodeJS.ErrnoException) => {
    // Another worker was faster.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return shared;
}
