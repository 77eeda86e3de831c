import { Command, InvalidArgumentError } from 'commander';
import { OUTPUT } from '../shared/config/names.ts';
import { InvalidConfigurationError } from '../shared/errors.ts';
import type { PublishedInteraction } from '../shared/feedback/coalescing.ts';
import { EXIT, ExitError, interruption } from './exit.ts';
import { readJsonLines } from './json-lines.ts';
import { createProgress, printJson, printLine, printProblem } from './output.ts';
import { resourceName } from './stack-outputs.ts';

interface PublishOptions {
  queueUrl?: string;
  outputs?: string;
  embeddingDim?: number;
  embeddingModel?: string;
  batchId?: string;
  json?: boolean;
}

/** What could not be sent, by line of the file. */
interface Failure {
  readonly line: number;
  readonly interactions: number;
  readonly code: string;
  readonly message: string;
  readonly userId?: string;
  readonly eventId?: string;
}

/** Kinds of failure that are listed for a person; `--json` lists every failure. */
const SHOWN_KINDS = 20;

/** `attune publish`: feedback from a file into the queue. */
export function publishCommand(): Command {
  return new Command('publish')
    .description('publish interactions, given as JSON lines, to the feedback queue')
    .argument(
      '<file>',
      'lines of {"userId", "embedding", "itemId"?, "occurredAt"?, and "reward", "watch" or "target"}; - is stdin',
    )
    .option('--queue-url <url>', 'the feedback queue')
    .option('--outputs <file>', 'take the queue from the file of cdk deploy --outputs-file')
    .option('--embedding-dim <n>', 'refuse embeddings of another length before they are sent', wholeNumber)
    .option(
      '--embedding-model <name>',
      'name the model, so that a deployment with another one refuses the events',
    )
    .option(
      '--batch-id <id>',
      'publish the same file, unchanged, again under the same id after a failure or a stop: nothing counts twice',
    )
    .option('--json', 'print the report as one line of JSON')
    .action(publish);
}

async function publish(file: string, options: PublishOptions): Promise<void> {
  const queueUrl = await queueUrlOf(options);
  // The SDK is loaded only by commands that need it.
  const [{ sqsClient }, { SqsFeedbackQueue }, { FeedbackPublisher }] = await Promise.all([
    import('../shared/config/clients/sqs.ts'),
    import('../shared/feedback/sqs-queue.ts'),
    import('../shared/feedback/publisher.ts'),
  ]);
  const region = /^https?:\/\/sqs\.([a-z0-9-]+)\./.exec(queueUrl)?.[1];
  const client = sqsClient(region === undefined ? {} : { region });
  const publisher = new FeedbackPublisher({
    queue: new SqsFeedbackQueue(client, queueUrl),
    embeddingDim: options.embeddingDim,
    embeddingModel: options.embeddingModel,
    ...(options.batchId === undefined ? {} : { newEventId: numberedIds(options.batchId) }),
  });

  const signal = interruption();
  const progress = createProgress('publishing', 'interactions');
  const failed: Failure[] = [];
  const lineOf: number[] = [];
  async function* interactions(): AsyncGenerator<PublishedInteraction> {
    for await (const { line, value, fault } of readJsonLines(file, signal)) {
      if (fault !== undefined) failed.push({ line, interactions: 1, code: 'not-json', message: fault });
      else {
        lineOf.push(line);
        // The publisher checks it against the schema.
        yield value as PublishedInteraction;
      }
    }
  }
  try {
    const report = await publisher.publish(interactions(), {
      signal,
      onProgress: (reached) => progress.update(reached.interactions),
    });
    for (const { position, ...failure } of report.failed)
      failed.push({ line: lineOf[position] ?? 0, ...failure });
    failed.sort((a, b) => a.line - b.line);
    progress.stop();
    tell(report.interactions, report.events, failed, options.json ?? false);
  } finally {
    progress.stop();
    client.destroy();
  }
  if (signal.aborted) throw new ExitError(EXIT.interrupted);
  if (failed.length > 0) throw new ExitError(EXIT.failed);
}

function tell(interactions: number, events: number, failed: readonly Failure[], json: boolean): void {
  const kinds = Map.groupBy(failed, ({ code, message }) => `${code}: ${message}`);
  for (const [kind, failures] of [...kinds].slice(0, SHOWN_KINDS)) {
    const count = failures.reduce((sum, failure) => sum + failure.interactions, 0);
    const lines = failures.length === 1 ? 'line' : 'from line';
    printProblem(`${count} not sent, ${lines} ${failures[0]?.line}: ${kind}`);
  }
  if (kinds.size > SHOWN_KINDS)
    printProblem(`and ${kinds.size - SHOWN_KINDS} more kinds of failure (--json lists all)`);
  if (json) printJson({ interactions, events, failed });
  else printLine(`published ${interactions} interactions in ${events} events`);
}

async function queueUrlOf(options: PublishOptions): Promise<string> {
  const queueUrl = await resourceName(
    options.queueUrl,
    options.outputs,
    OUTPUT.feedbackQueueUrl,
    '--queue-url',
  );
  if (URL.canParse(queueUrl)) return queueUrl;
  throw new InvalidConfigurationError(`--queue-url: found ${queueUrl}, expected a URL`);
}

/** The same file is cut into the same events in the same order, so a number is enough to know one again. */
function numberedIds(batchId: string): () => string {
  let next = 0;
  return () => `${batchId}-${next++}`;
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number.');
}
