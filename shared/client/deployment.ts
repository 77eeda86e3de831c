import type { LearningSettings } from '../config/settings.ts';
import type { FeedbackQueue } from '../feedback/queue.ts';
import type { ServingServices } from '../serving/served-user.ts';
import type { Resources } from './resources.ts';

export type Service = 'cloudformation' | 'dynamodb' | 'lambda' | 's3' | 'sqs';

/** How to find a deployment. */
export interface DeploymentAccess {
  /** @throws InvalidConfigurationError when nothing names the resource */
  readonly nameOf: (resource: keyof Resources) => Promise<string>;
  readonly learningSettings: () => Promise<LearningSettings>;
  /**
   * Options of an SDK client.
   * @param resource name or URL of the resource that it calls
   */
  readonly clientConfig: (service: Service, resource: string) => object;
}

interface Closable {
  destroy(): void;
}

/**
 * The stores of a deployment, which share SDK clients. Loads a client on first use. Call `close`
 * when done.
 */
export class Deployment {
  readonly #access: DeploymentAccess;
  readonly #clients = new Map<Service, Promise<Closable>>();

  constructor(access: DeploymentAccess) {
    this.#access = access;
  }

  async lambda() {
    const name = await this.#access.nameOf('personalizeFunctionName');
    const client = await this.#client('lambda', name, async (config) =>
      (await import('../config/clients/lambda.ts')).lambdaClient(config),
    );
    return { name, client };
  }

  /** Everything in the bucket. */
  async bucket() {
    const name = await this.#access.nameOf('bucketName');
    const [client, { ObjectStore }, { AdapterStore }, { Quarantine }, { PendingEpisodes }] =
      await Promise.all([
        this.#client('s3', name, async (config) =>
          (await import('../config/clients/s3.ts')).s3Client(config),
        ),
        import('../storage/objects.ts'),
        import('../adapters/adapter-store.ts'),
        import('../feedback/quarantine.ts'),
        import('../episodes/pending-episodes.ts'),
      ]);
    const objects = new ObjectStore(client, name);
    return {
      objects,
      adapters: new AdapterStore(objects),
      quarantine: new Quarantine(objects),
      pending: new PendingEpisodes(objects),
    };
  }

  /**
   * The stores and settings of the personalize function, to see how a user is served.
   * @param maxAgeMs time for which shared objects come from memory before S3 is asked for newer
   * ones
   */
  async serving(maxAgeMs: number): Promise<ServingServices> {
    const [settings, { objects, adapters }, { AdapterCache }, { learningObjects, readSharedLearning }] =
      await Promise.all([
        this.#access.learningSettings(),
        this.bucket(),
        import('../adapters/adapter-cache.ts'),
        import('../population/shared-learning.ts'),
      ]);
    const learning = learningObjects(objects, settings, { maxAgeMs });
    return {
      settings,
      adapters,
      cache: new AdapterCache(),
      learning: () => readSharedLearning(learning, settings),
      freshLearning: () => readSharedLearning(learning, settings, 'refresh'),
      neighbours: () => learning.neighbours.read(),
    };
  }

  async episodes() {
    const table = await this.#access.nameOf('tableName');
    const { DynamoEpisodeStore } = await import('../episodes/dynamodb-episode-store.ts');
    return new DynamoEpisodeStore(await this.#dynamodb(table), { table, ttlDays: 1 });
  }

  /** The items of the stack's table, or of another one, unchanged. */
  async table(name?: string) {
    const table = name ?? (await this.#access.nameOf('tableName'));
    const { DynamoTable } = await import('../episodes/dynamodb-table.ts');
    return new DynamoTable(await this.#dynamodb(table), table, Date.now);
  }

  #dynamodb(table: string) {
    return this.#client('dynamodb', table, async (config) =>
      (await import('../config/clients/dynamodb.ts')).dynamoClient(config),
    );
  }

  async queue(): Promise<FeedbackQueue> {
    const { client, url } = await this.#sqs('feedbackQueueUrl');
    return new (await import('../feedback/sqs-queue.ts')).SqsFeedbackQueue(client, url);
  }

  /** Visible, delayed or in-flight messages of the queues. */
  async waiting(): Promise<{ readonly feedback: number; readonly deadLetters: number }> {
    const { SqsFeedbackQueue } = await import('../feedback/sqs-queue.ts');
    const count = async (resource: 'feedbackQueueUrl' | 'deadLetterQueueUrl') => {
      const { client, url } = await this.#sqs(resource);
      return new SqsFeedbackQueue(client, url).size();
    };
    return { feedback: await count('feedbackQueueUrl'), deadLetters: await count('deadLetterQueueUrl') };
  }

  /** Messages that failed too often, in one of the queues that hold such messages. */
  async deadLetters(queue: 'deadLetterQueueUrl' | 'consolidationFailuresUrl' = 'deadLetterQueueUrl') {
    const { client, url } = await this.#sqs(queue);
    return new (await import('../feedback/dead-letters.ts')).DeadLetters(client, url);
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) (await client.catch(() => undefined))?.destroy();
  }

  async #sqs(resource: 'feedbackQueueUrl' | 'deadLetterQueueUrl' | 'consolidationFailuresUrl') {
    const url = await this.#access.nameOf(resource);
    const client = await this.#client('sqs', url, async (config) =>
      (await import('../config/clients/sqs.ts')).sqsClient(config),
    );
    return { client, url };
  }

  /** All resources of a service are in one region, so one client is enough. */
  #client<T extends Closable>(
    service: Service,
    resource: string,
    open: (config: object) => Promise<T>,
  ): Promise<T> {
    const known = this.#clients.get(service) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const opened = open(this.#access.clientConfig(service, resource));
    this.#clients.set(service, opened);
    return opened;
  }
}
