import { LocalStack } from '../../infra/local/local-stack.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { environmentOf, settingsFromEnvironment } from '../../shared/config/settings.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { itemKey } from '../../shared/episodes/episode.ts';
import { SqsFeedbackQueue } from '../../shared/feedback/sqs-queue.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { initialPopulationModel } from '../../shared/population/population-model.ts';
import { combine, learningObjects } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { localClients } from '../support/local-clients.ts';
import { requestIdOf } from '../support/request-id.ts';
import { CHAOS_SETTINGS } from './assembly.ts';
import { type FaultProxyOptions, type SeenRequest, startFaultProxy } from './fault-proxy.ts';

export interface ChaosStackOptions {
  readonly assemblyDir: string;
  readonly dataDir?: string;
  readonly concurrency?: number;
  /** Receives every request of the functions; by default they are collected in `requests`. */
  readonly record?: (seen: SeenRequest) => void;
  /** The faults of the proxies; without them the proxies only count. */
  readonly faults?: Pick<FaultProxyOptions, 'decide'> & { readonly bankDown?: () => boolean };
}

/**
 * The local stack with a proxy between its functions and S3 and DynamoDB, and stores that bypass
 * the proxies.
 */
export async function startChaosStack(options: ChaosStackOptions) {
  const { assemblyDir, dataDir, concurrency = 4, faults } = options;
  const proxies: Awaited<ReturnType<typeof startFaultProxy>>[] = [];
  const requests: SeenRequest[] = [];
  const record = options.record ?? ((seen: SeenRequest) => requests.push(seen));
  const kill = (traceId: string) => stack.kill(requestIdOf(traceId) ?? '');
  const decide = faults?.decide ?? (() => undefined);
  const stack: LocalStack = await LocalStack.start({
    assemblyDir,
    ...(dataDir === undefined ? {} : { dataDir }),
    schedules: false,
    concurrency,
    functionEndpoints: async (endpoints) => {
      const s3 = await startFaultProxy({ service: 's3', target: endpoints.s3, record, decide, kill });
      const dynamodb = await startFaultProxy({
        service: 'dynamodb',
        target: endpoints.dynamodb,
        record,
        decide,
        kill,
        ...(faults?.bankDown === undefined ? {} : { down: faults.bankDown }),
      });
      proxies.push(s3, dynamodb);
      return { ...endpoints, s3: s3.endpoint, dynamodb: dynamodb.endpoint };
    },
  });
  const clients = localClients(stack.endpoints);
  const { sqs, s3, dynamodb } = clients;
  const output = (name: keyof typeof OUTPUT) => stack.outputs[OUTPUT[name]]!;
  const settings = settingsFromEnvironment(
    environmentOf({ ...CHAOS_SETTINGS, bucket: output('bucketName'), table: output('tableName') }),
  );
  const objects = new ObjectStore(s3, settings.bucket);
  return {
    stack,
    settings,
    sqs,
    dynamodb,
    objects,
    output,
    /** Every request of the functions so far. */
    requests: requests as readonly SeenRequest[],
    queue: new SqsFeedbackQueue(sqs, output('feedbackQueueUrl')),
    adapters: new AdapterStore(objects),
    episodes: new DynamoEpisodeStore(dynamodb, { table: settings.table, ttlDays: settings.episodeTtlDays }),
    async stop() {
      await stack.stop();
      await Promise.all(proxies.map((proxy) => proxy.close()));
      clients.destroy();
    },
  };
}

export type ChaosStack = Awaited<ReturnType<typeof startChaosStack>>;

/**
 * Writes a basis of the catalogue and a population model with item effects, unless they exist, and
 * returns what functions will read.
 */
export async function provideLearning({ objects, settings }: ChaosStack, items: readonly Float32Array[]) {
  const shared = learningObjects(objects, settings);
  const { rank, scalingFactor, embeddingModel } = settings;
  const basis = basisFromEmbeddings(items, { rank, scalingFactor, seed: 1 });
  if ((await shared.basis.refresh()) === undefined) await shared.basis.write({ basis, embeddingModel });
  const known = await shared.population.refresh();
  const sums = new Map(items.map((_, i) => [itemKey(`item ${i}`), { sum: (i % 7) - 3, count: 10 + i }]));
  const first = initialPopulationModel(basis);
  const population = known ?? { ...first, version: 1, items: { ...first.items, sums } };
  if (known === undefined) await shared.population.write(population);
  return combine({ basis }, population);
}
