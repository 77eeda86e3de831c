import type { Command } from 'commander';
import { regionOfQueue } from '../shared/client/resources.ts';
import { OUTPUT } from '../shared/config/names.ts';
import { InvalidInputError } from '../shared/errors.ts';
import { printLine } from './output.ts';
import { POLICIES, type Target, WITHOUT_CALLS } from './policies.ts';
import { stackOutput } from './stack-outputs.ts';

interface PolicyOptions {
  readonly outputs?: string;
}

/** `attune policy`: prints the permissions that a command needs. */
export function policyCommand(command: Command): Command {
  return command
    .argument('<command...>', `a command, such as forget, or dlq redrive`)
    .option('--outputs <file>', 'use the resource names in the file of cdk deploy --outputs-file')
    .action(printPolicy);
}

async function printPolicy(words: readonly string[], { outputs }: PolicyOptions): Promise<void> {
  printLine(JSON.stringify(await policyOf(words.join(' '), outputs), null, 2));
}

/**
 * @param command such as `dlq redrive`
 * @param outputs file with the names of the resources; default: placeholders
 * @throws InvalidInputError when there is no such command; what {@link arnsOf} throws
 */
export async function policyOf(command: string, outputs?: string) {
  const grants = (WITHOUT_CALLS as readonly string[]).includes(command) ? [] : POLICIES[command];
  if (grants === undefined) {
    const known = Object.keys(POLICIES).join(', ');
    throw new InvalidInputError('command', command, `one of ${known}`);
  }
  const arns = outputs === undefined ? PLACEHOLDERS : await arnsOf(outputs);
  const Statement = grants.map(({ actions, on }) => ({
    Effect: 'Allow',
    Action: actions,
    Resource: on.map((target) => arnOf(target, arns)),
  }));
  return { Version: '2012-10-17', Statement };
}

type Root =
  | 'feedbackQueue'
  | 'deadLetterQueue'
  | 'consolidationFailures'
  | 'bucket'
  | 'table'
  | 'update'
  | 'personalize'
  | 'consolidate'
  | '*';

function arnOf(target: Target, arns: Readonly<Record<Root, string>>): string {
  const [root = '', ...path] = target.split('/');
  return [arns[root as Root], ...path].join('/');
}

const PLACEHOLDERS = arnsFrom('<region>:<account>', 'aws', (name) => `<${name}>`);

/**
 * @throws what {@link stackOutput} throws; InvalidInputError when the outputs' queue is not a queue
 */
async function arnsOf(outputs: string): Promise<Readonly<Record<Root, string>>> {
  const names = new Map<string, string>();
  for (const name of RESOURCES) names.set(name, await stackOutput(outputs, name));
  const url = names.get(OUTPUT.feedbackQueueUrl)!;
  const account = /^https?:\/\/[^/]+\/(\d{12})\//.exec(url)?.[1];
  if (account === undefined)
    throw new InvalidInputError(`${outputs}, ${OUTPUT.feedbackQueueUrl}`, url, 'the URL of a queue');
  const region = regionOfQueue(url) ?? process.env.AWS_REGION ?? 'us-east-1';
  return arnsFrom(`${region}:${account}`, partitionOf(region), (name) => names.get(name)!.split('/').at(-1)!);
}

const RESOURCES = [
  OUTPUT.feedbackQueueUrl,
  OUTPUT.deadLetterQueueUrl,
  OUTPUT.consolidationFailuresUrl,
  OUTPUT.bucketName,
  OUTPUT.tableName,
  OUTPUT.updateFunctionName,
  OUTPUT.personalizeFunctionName,
  OUTPUT.consolidateFunctionName,
] as const;

function arnsFrom(
  place: string,
  partition: string,
  nameOf: (output: (typeof RESOURCES)[number]) => string,
): Readonly<Record<Root, string>> {
  const arn = (service: string, resource: string) => `arn:${partition}:${service}:${place}:${resource}`;
  return {
    feedbackQueue: arn('sqs', nameOf(OUTPUT.feedbackQueueUrl)),
    deadLetterQueue: arn('sqs', nameOf(OUTPUT.deadLetterQueueUrl)),
    consolidationFailures: arn('sqs', nameOf(OUTPUT.consolidationFailuresUrl)),
    bucket: `arn:${partition}:s3:::${nameOf(OUTPUT.bucketName)}`,
    table: arn('dynamodb', `table/${nameOf(OUTPUT.tableName)}`),
    update: arn('lambda', `function:${nameOf(OUTPUT.updateFunctionName)}`),
    personalize: arn('lambda', `function:${nameOf(OUTPUT.personalizeFunctionName)}`),
    consolidate: arn('lambda', `function:${nameOf(OUTPUT.consolidateFunctionName)}`),
    '*': '*',
  };
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}
