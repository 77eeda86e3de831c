import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalStack, type LocalStackOptions } from '../../infra/local/local-stack.ts';
import { synthesize } from '../../infra/synth.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { dynamoClient } from '../../shared/config/clients/dynamodb.ts';
import { lambdaClient } from '../../shared/config/clients/lambda.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { type DeploymentSettings, settingsFromContext } from '../../shared/config/settings.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { SqsFeedbackQueue } from '../../shared/feedback/sqs-queue.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';

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
  const { AWS_REGION: region = '' } = stack.environment;
  const common = { region, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  const sqs = sqsClient({ ...common, endpoint: stack.endpoints.sqs });
  const s3 = s3Client({ ...common, endpoint: stack.endpoints.s3 });
  const dynamodb = dynamoClient({ ...common, endpoint: stack.endpoints.dynamodb });
  const lambda = lambdaClient({ ...common, endpoint: stack.endpoints.lambda });
  const output = (name: keyof typeof OUTPUT) => stack.outputs[OUTPUT[name]]!;
  const objects = new ObjectStore(s3, output('bucketName'));
  return {
    stack,
    output,
    objects,
    sqs,
    lambda,
    queue: new SqsFeedbackQueue(sqs, output('feedbackQueueUrl')),
    adapters: new AdapterStore(objects),
    learning: learningObjects(objects, { ...SETTINGS, ...more }, { maxAgeMs: 0 }),
    episodes: new DynamoEpisodeStore(dynamodb, { table: output('tableName'), ttlDays: 90 }),
    async stop() {
      for (const client of [sqs, s3, dynamodb, lambda]) client.destroy();
      await stack.stop();
      await rm(assemblyDir, { recursive: true, force: true });
    },
  };
}
