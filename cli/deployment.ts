import type { Command } from 'commander';
import { OUTPUT } from '../shared/config/names.ts';
import type { ServingServices } from '../shared/serving/served-user.ts';
import { learningSettings, regionOfQueue, resourceName } from './stack-outputs.ts';

/** The options by which a command that works on one user's records, or on messages, finds its deployment. */
export interface DeploymentOptions {
  readonly outputs?: string;
  readonly bucket?: string;
  readonly table?: string;
  readonly queueUrl?: string;
  readonly deadLetterQueueUrl?: string;
}

const RESOURCES = {
  bucket: ['--bucket <name>', 'the bucket of the adapters', OUTPUT.bucketName],
  table: ['--table <name>', 'the table of the ReasoningBank', OUTPUT.tableName],
  queueUrl: ['--queue-url <url>', 'the feedback queue', OUTPUT.feedbackQueueUrl],
  deadLetterQueueUrl: ['--dead-letter-queue-url <url>', 'its dead-letter queue', OUTPUT.deadLetterQueueUrl],
} as const;

export type Resource = keyof typeof RESOURCES;

/** Adds an option for each resource, and `--outputs`, which names them all. */
export function withDeployment(command: Command, ...resources: Resource[]): Command {
  for (const resource of resources) command.option(RESOURCES[resource][0], RESOURCES[resource][1]);
  return command.option(
    '--outputs <file>',
    'take what is not named from the file of cdk deploy --outputs-file',
  );
}

/**
 * The stores of a deployment, as far as the command's options name its resources. `close` when done.
 * @throws InvalidConfigurationError naming the first resource that no option names
 */
export async function openDeployment(options: DeploymentOptions) {
  const nameOf = (resource: Resource) => {
    const [flags, , output] = RESOURCES[resource];
    return resourceName(options[resource], options.outputs, output, flags.split(' ')[0] ?? flags);
  };
  const [clients, stores, feedback] = await Promise.all([loadClients(), loadStores(), loadFeedback()]);
  const open: { destroy(): void }[] = [];
  const opened = <T extends { destroy(): void }>(client: T): T => {
    open.push(client);
    return client;
  };
  const sqs = (url: string) => {
    const region = regionOfQueue(url);
    return opened(clients.sqsClient(region === undefined ? {} : { region }));
  };
  return {
    async bucket() {
      const objects = new stores.ObjectStore(opened(clients.s3Client()), await nameOf('bucket'));
      return {
        objects,
        adapters: new stores.AdapterStore(objects),
        quarantine: new stores.Quarantine(objects),
        pending: new stores.PendingEpisodes(objects),
      };
    },
    /** What answers how a user is served: the same stores and settings as the personalize function has. */
    async serving(): Promise<ServingServices> {
      const settings = await learningSettings(options.outputs);
      const { objects, adapters } = await this.bucket();
      const learning = stores.learningObjects(objects, settings);
      const freshLearning = () => stores.readSharedLearning(learning, settings, 'refresh');
      return { settings, adapters, cache: new stores.AdapterCache(), learning: freshLearning, freshLearning };
    },
    async episodes() {
      const table = await nameOf('table');
      return new stores.DynamoEpisodeStore(opened(clients.dynamoClient()), { table, ttlDays: 1 });
    },
    async queue() {
      const url = await nameOf('queueUrl');
      return new feedback.SqsFeedbackQueue(sqs(url), url);
    },
    /** Messages of the queues that are visible, delayed or in flight. */
    async waiting(): Promise<{ readonly feedback: number; readonly deadLetters: number }> {
      const [queue, dead] = [await nameOf('queueUrl'), await nameOf('deadLetterQueueUrl')];
      const count = (url: string) => new feedback.SqsFeedbackQueue(sqs(url), url).size();
      return { feedback: await count(queue), deadLetters: await count(dead) };
    },
    async deadLetters() {
      const url = await nameOf('deadLetterQueueUrl');
      return new feedback.DeadLetters(sqs(url), url);
    },
    close() {
      for (const client of open) client.destroy();
    },
  };
}

export type Deployment = Awaited<ReturnType<typeof openDeployment>>;

/** Runs a command's work on its deployment, and closes it whatever happens. */
export async function onDeployment<T>(
  options: DeploymentOptions,
  work: (deployment: Deployment) => Promise<T>,
): Promise<T> {
  const deployment = await openDeployment(options);
  try {
    return await work(deployment);
  } finally {
    deployment.close();
  }
}

// The SDK is loaded only by commands that need it.
async function loadClients() {
  const [{ s3Client }, { dynamoClient }, { sqsClient }] = await Promise.all([
    import('../shared/config/clients/s3.ts'),
    import('../shared/config/clients/dynamodb.ts'),
    import('../shared/config/clients/sqs.ts'),
  ]);
  return { s3Client, dynamoClient, sqsClient };
}

async function loadStores() {
  const [
    { ObjectStore },
    { AdapterCache },
    { AdapterStore },
    { Quarantine },
    { PendingEpisodes },
    { DynamoEpisodeStore },
    { learningObjects, readSharedLearning },
  ] = await Promise.all([
    import('../shared/storage/objects.ts'),
    import('../shared/adapters/adapter-cache.ts'),
    import('../shared/adapters/adapter-store.ts'),
    import('../shared/feedback/quarantine.ts'),
    import('../shared/episodes/pending-episodes.ts'),
    import('../shared/episodes/dynamodb-episode-store.ts'),
    import('../shared/population/shared-learning.ts'),
  ]);
  return {
    ObjectStore,
    AdapterCache,
    AdapterStore,
    Quarantine,
    PendingEpisodes,
    DynamoEpisodeStore,
    learningObjects,
    readSharedLearning,
  };
}

async function loadFeedback() {
  const [{ SqsFeedbackQueue }, { DeadLetters }] = await Promise.all([
    import('../shared/feedback/sqs-queue.ts'),
    import('../shared/feedback/dead-letters.ts'),
  ]);
  return { SqsFeedbackQueue, DeadLetters };
}
