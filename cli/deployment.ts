import type { Command } from 'commander';
import { Deployment } from '../shared/client/deployment.ts';
import { regionOfQueue } from '../shared/client/resources.ts';
import { OUTPUT } from '../shared/config/names.ts';
import { learningSettings, resourceName } from './stack-outputs.ts';

/**
 * The options that name the deployment, for commands about one user's records or about messages.
 */
export interface DeploymentOptions {
  readonly outputs?: string;
  readonly bucket?: string;
  readonly table?: string;
  readonly queueUrl?: string;
  readonly deadLetterQueueUrl?: string;
  readonly consolidationFailuresUrl?: string;
}

const RESOURCES = {
  bucket: ['--bucket <name>', 'the bucket of the adapters', OUTPUT.bucketName],
  table: ['--table <name>', 'the table of the ReasoningBank', OUTPUT.tableName],
  queueUrl: ['--queue-url <url>', 'the feedback queue', OUTPUT.feedbackQueueUrl],
  deadLetterQueueUrl: ['--dead-letter-queue-url <url>', 'its dead-letter queue', OUTPUT.deadLetterQueueUrl],
  consolidationFailuresUrl: [
    '--consolidation-failures-url <url>',
    'the queue of failed consolidations',
    OUTPUT.consolidationFailuresUrl,
  ],
} as const;

export type Resource = keyof typeof RESOURCES;

/** Adds an option for each resource, and `--outputs` for all of them. */
export function withDeployment(command: Command, ...resources: Resource[]): Command {
  for (const resource of resources) command.option(RESOURCES[resource][0], RESOURCES[resource][1]);
  return command.option(
    '--outputs <file>',
    'take missing resources from the file of cdk deploy --outputs-file',
  );
}

/**
 * The deployment that a command's options name, without any that they do not.
 * @throws InvalidConfigurationError naming the first resource that no option names
 */
export function openDeployment(options: DeploymentOptions): Deployment {
  return new Deployment({
    nameOf(resource) {
      const [option, [flags]] = Object.entries(RESOURCES).find(
        ([, [, , output]]) => output === OUTPUT[resource],
      )!;
      const given = options[option as Resource];
      return resourceName(given, options.outputs, OUTPUT[resource], flags.split(' ')[0] ?? flags);
    },
    learningSettings: () => learningSettings(options.outputs),
    clientConfig(service, resource) {
      const region = service === 'sqs' ? regionOfQueue(resource) : undefined;
      return region === undefined ? {} : { region };
    },
  });
}

/** Runs a command on its deployment, and always closes it. */
export async function onDeployment<T>(
  options: DeploymentOptions,
  work: (deployment: Deployment) => Promise<T>,
): Promise<T> {
  const deployment = openDeployment(options);
  try {
    return await work(deployment);
  } finally {
    await deployment.close();
  }
}
