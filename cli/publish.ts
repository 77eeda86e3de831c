import { randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { regionOfQueue } from '../shared/client/resources.ts';
import { OUTPUT } from '../shared/config/names.ts';
import { InvalidConfigurationError, shown } from '../shared/errors.ts';
import type { PublishedInteraction } from '../shared/feedback/coalescing.ts';
import { isEventFault } from '../shared/feedback/event-error.ts';
import type { PublishReport } from '../shared/feedback/publisher.ts';
import { EXIT, ExitError, interruption, told } from './exit.ts';
import { measureLines, readJsonLines } from './json-lines.ts';
import { createProgress, printJson, printLine, printProblem } from './output.ts';
import { PublishJournal } from './publish-journal.ts';
import { knownLearningSettings, resourceName } from './stack-outputs.ts';

interface PublishOptions {
  queueUrl?: string;
  outputs?: string;
  embeddingDim?: number;
  embeddingModel?: string;
  batchId?: string;
  resend?: boolean;
  json?: boolean;
}

/** An interaction that could not be sent, with its line in the file. */
interface Failure {
  readonly line: number;
  readonly interactions: number;
  readonly code: string;
  readonly message: string;
  readonly userId?: string;
  readonly eventId?: string;
}

/** Most kinds of failure to print; `--json` lists every failure. */
const SHOWN_KINDS = 20;
/** 64 bits in hex, so that files of one queue do not collide. */
const BATCH_ID_CHARACTERS = 16;

/** `attune publish`: sends feedback from a file to the queue. */
export function publishCommand(command: Command): Command {
  return command
    .argument(
      '<file>',
      'lines of {"userId", "itemId" of the catalogue or "embedding" or both, "reward", "watch" or "target", "occurredAt"?, "recommendationId"?}; - is stdin',
    )
    .option('--queue-url <url>', 'the feedback queue')
    .option(
      '--outputs <file>',
      'take queue, embedding length and model from the file of cdk deploy --outputs-file',
    )
    .option('--embedding-dim <n>', 'refuse embeddings of another length before they are sent', wholeNumber)
    .option(
      '--embedding-model <name>',
      'name of the embedding model; a deployment with another one refuses the events',
    )
    .option(
      '--batch-id <id>',
      'names the input, so that publishing it again sends nothing twice, also after corrections; ' +
        'default: a hash of the file',
      batchName,
    )
    .option(
      '--resend',
      'also send interactions that were published before, for a stack that lost them; others recognise duplicates',
    )
    .option('--json', 'print the report as one line of JSON')
    .action(publish);
}

async function publish(file: string, options: PublishOptions): Promise<void> {
  const queueUrl = await queueUrlOf(options);
  const { embeddingDim, embeddingModel } = await embeddingOf(options);
  const signal = interruption();
  const progress = createProgress('publishing', 'interactions');
  // stdin can be read only once, so it has no batch id of its own.
  const input = file === '-' ? undefined : await measureLines(file, signal);
  if (signal.aborted) throw new ExitError(EXIT.interrupted);
  const batchId = options.batchId ?? input?.sha256.slice(0, BATCH_ID_CHARACTERS) ?? randomUUID();
  // Only commands that need the SDK load it.
  const [{ sqsClient }, { SqsFeedbackQueue }, { FeedbackPublisher }] = await Promise.all([
    import('../shared/config/clients/sqs.ts'),
    import('../shared/feedback/sqs-queue.ts'),
    import('../shared/feedback/publisher.ts'),
  ]);
  const region = regionOfQueue(queueUrl);
  const client = sqsClient(region === undefined ? {} : { region });
  const queue = new SqsFeedbackQueue(client, queueUrl);
  const journal = new PublishJournal([queueUrl, (await queue.createdAt()) ?? '', batchId]);
  const publisher = new FeedbackPublisher({
    queue,
    embeddingDim,
    embeddingModel,
  });
  const failed: Failure[] = [];
  const lineOf: number[] = [];
  let read = 0;
  let withoutEmbedding = 0;
  async function* interactions(): AsyncGenerator<PublishedInteraction> {
    for await (const { line, value, fault } of readJsonLines(file, signal)) {
      read++;
      if (fault === undefined) {
        lineOf.push(line);
        if (Object(value).embedding === undefined) withoutEmbedding++;
        // The publisher checks it against the schema.
        yield value as PublishedInteraction;
      } else {
        const message = `found ${fault.found}, expected ${fault.expected}`;
        failed.push({ line, interactions: 1, code: fault.code, message });
      }
    }
  }
  try {
    const report = await publisher.publish(interactions(), {
      signal,
      batchId,
      published: options.resend ? undefined : journal.published,
      onPublished: ({ keys = [] }) => journal.add(keys),
      onProgress: (reached) => progress.update(reached.interactions, input?.lines),
    });
    for (const { position, ...failure } of report.failed)
      failed.push({ line: lineOf[position] ?? 0, ...failure });
    failed.sort((a, b) => a.line - b.line);
    progress.stop();
    const unread = signal.aborted ? input && input.lines - read : 0;
    tell({ report, failed, batchId, unread }, options.json ?? false);
    if (!options.json && report.events > 0) tellRefusals(options, withoutEmbedding);
  } finally {
    progress.stop();
    journal.close();
    client.destroy();
  }
  if (signal.aborted || failed.length > 0) {
    const invalid = failed.some(({ code }) => isEventFault(code));
    printProblem(
      `${invalid ? 'correct these lines, then' : 'to continue,'} run: ${again(file, options, batchId)}`,
    );
  }
  if (signal.aborted) throw new ExitError(EXIT.interrupted);
  if (failed.length > 0) throw new ExitError(EXIT.failed);
}

interface Told {
  readonly report: PublishReport;
  readonly failed: readonly Failure[];
  readonly batchId: string;
  /** Number of lines that were not read; undefined when unknown. */
  readonly unread: number | undefined;
}

function tell({ report, failed, batchId, unread }: Told, json: boolean): void {
  const { interactions, events, duplicates } = report;
  const kinds = Map.groupBy(failed, ({ code, message }) => `${code}: ${message}`);
  for (const [kind, failures] of [...kinds].slice(0, SHOWN_KINDS)) {
    const count = failures.reduce((sum, failure) => sum + failure.interactions, 0);
    const lines = failures.length === 1 ? 'line' : 'from line';
    printProblem(`${count} not sent, ${lines} ${failures[0]?.line}: ${told(kind)}`);
  }
  if (kinds.size > SHOWN_KINDS)
    printProblem(`and ${kinds.size - SHOWN_KINDS} more kinds of failure (--json lists all)`);
  if (unread === undefined) printProblem('the rest of the input was not read');
  else if (unread > 0) printProblem(`${unread} more lines were not read and not sent`);
  const earlier = duplicates === 0 ? '' : `; ${duplicates} were published before (--resend sends them again)`;
  if (json) printJson({ batchId, interactions, events, duplicates, failed, unread: unread ?? null });
  else printLine(`published ${interactions} interactions in ${events} events${earlier}; batch ${batchId}`);
}

/** The queue accepts events that the deployment refuses later. */
function tellRefusals({ outputs }: PublishOptions, withoutEmbedding: number): void {
  const list = `npx attune dlq list --outputs ${outputs === undefined ? '<file>' : quoted(outputs)}`;
  const example =
    withoutEmbedding === 0 ? '' : ', for example one without embedding of an item that the catalogue lacks';
  printLine(`to see events that the deployment refuses${example}, run: ${list}`);
}

/** The command that continues this one. */
function again(file: string, options: PublishOptions, batchId: string): string {
  const { queueUrl, outputs, embeddingDim, embeddingModel } = options;
  const given = { queueUrl, outputs, embeddingDim, embeddingModel, batchId };
  const flags = Object.entries(given).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} ${quoted(String(value))}`],
  );
  return ['npx attune publish', quoted(file), ...flags].join(' ');
}

/** A word quoted for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
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

/**
 * Length and model of the embeddings, from the options and the deployment's outputs.
 * @throws InvalidConfigurationError when the two differ
 */
async function embeddingOf({ outputs, embeddingDim, embeddingModel }: PublishOptions) {
  const deployed = outputs === undefined ? undefined : await knownLearningSettings(outputs);
  if (deployed === undefined) return { embeddingDim, embeddingModel };
  for (const [option, given, expected] of [
    ['--embedding-dim', embeddingDim, deployed.embeddingDim],
    ['--embedding-model', embeddingModel, deployed.embeddingModel],
  ] as const) {
    if (given !== undefined && given !== expected)
      throw new InvalidConfigurationError(
        `${option}: found ${shown(given)}, expected ${shown(expected)}, the value of ${outputs}`,
      );
  }
  return { embeddingDim: deployed.embeddingDim, embeddingModel: deployed.embeddingModel };
}

/** The prefix of event ids of 128 characters. */
function batchName(text: string): string {
  if (/^\P{Cc}{1,100}$/u.test(text)) return text;
  throw new InvalidArgumentError('expected 1 to 100 characters without control characters.');
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number.');
}
