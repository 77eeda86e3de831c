import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LocalStack } from '../infra/local/local-stack.ts';
import { METRIC, OUTPUT } from '../shared/config/names.ts';
import { InvalidConfigurationError, NotFoundError, UnavailableError } from '../shared/errors.ts';
import { EXIT, ExitError, interruption } from './exit.ts';
import { createProgress, printJson, printLine, printProblem } from './output.ts';

interface LocalOptions {
  movielens?: string;
  users: number;
  eventsPerUser?: number;
  seed: number;
  data?: string;
  port?: number;
  keep?: boolean;
  outputs?: string;
  json?: boolean;
  transfer: 'on' | 'off';
}

/** Simulated items, when there is no data set. */
const SIMULATED = { items: 1_000, interactionsPerUser: 60 };

/** `attune local`: the whole stack on this machine, with feedback replayed through it. */
export function localCommand(): Command {
  return new Command('local')
    .description(
      'run the whole stack on this machine, replay feedback through it, and rank what was held out',
    )
    .addOption(
      new Option(
        '--movielens <folder>',
        'replay ratings.csv, movies.csv and tags.csv of this folder; without it, simulated users',
      ),
    )
    .option('--users <n>', 'users to replay', wholeNumber(100_000), 100)
    .option(
      '--events-per-user <n>',
      'publish no more events of a user (5 interactions each)',
      wholeNumber(10_000),
    )
    .option('--seed <n>', 'chooses the users, and all else that is random', seedNumber, 1)
    .option(
      '--data <folder>',
      'keep everything in this folder, and continue there after a stop; default: in memory',
    )
    .option(
      '--port <n>',
      'first of four ports: SQS, DynamoDB, S3, Lambda; default: free ones',
      wholeNumber(65_532, 1_024),
    )
    .addOption(
      new Option('--transfer <on|off>', 'whether users profit from what others taught')
        .choices(['on', 'off'])
        .default('on'),
    )
    .option('--keep', 'stay up afterwards, until Ctrl-C')
    .option(
      '--outputs <file>',
      'write the names of the resources, as cdk deploy --outputs-file does, for the other commands',
    )
    .option('--json', 'print the result as one line of JSON, the last on stdout')
    .action(local);
}

async function local(options: LocalOptions): Promise<void> {
  if (!existsSync(new URL('../infra/app.ts', import.meta.url))) {
    throw new NotFoundError(
      'attune local: found no infra/app.ts, expected to run in a clone of the repository',
    );
  }
  const interrupted = interruption();
  const fault = new AbortController();
  const signal = AbortSignal.any([interrupted, fault.signal]);
  const assemblyDir = await mkdtemp(join(tmpdir(), 'attune-'));
  let stack: LocalStack | undefined;
  try {
    stack = await run(options, assemblyDir, signal, fault, (started) => {
      stack = started;
    });
    if (options.keep) await untilInterrupted(signal);
    fault.signal.throwIfAborted();
  } catch (error) {
    fault.signal.throwIfAborted();
    if (!interrupted.aborted) throw error;
    throw new ExitError(EXIT.interrupted);
  } finally {
    try {
      await stack?.stop();
    } finally {
      await rm(assemblyDir, { recursive: true, force: true });
    }
  }
}

async function run(
  options: LocalOptions,
  assemblyDir: string,
  signal: AbortSignal,
  fault: AbortController,
  onStarted: (stack: LocalStack) => void,
): Promise<LocalStack> {
  const say = options.json ? () => {} : printLine;
  // Loaded only now, so that --help and a mistyped option answer at once.
  const [
    { projectSettings, synthesizeAssembly },
    { planReplay },
    { openCheckpoint },
    { provideCatalogue, replay },
    { rankHeldOut, readLearnedState, SOMEBODY_NEW },
    { exampleUser },
    { newcomersLoss },
    { describe, summarize },
  ] = await Promise.all([
    import('./replay/assembly.ts'),
    import('./replay/plan.ts'),
    import('./replay/checkpoint.ts'),
    import('./replay/replay.ts'),
    import('./replay/measure.ts'),
    import('./replay/example-user.ts'),
    import('./replay/newcomers.ts'),
    import('./replay/summary.ts'),
  ]);
  const overrides = { transfer: options.transfer };
  const settings = projectSettings(overrides);
  const plan = planReplay(await datasetOf(options, settings.embeddingDim), options.eventsPerUser);

  say('Synthesizing the stack and bundling its functions ...');
  await synthesizeAssembly(assemblyDir, signal, overrides);
  const { LocalStack, STACK_LOG } = await import('../infra/local/local-stack.ts');
  const reportFailure = failureReporter();
  const stack = await LocalStack.start({
    assemblyDir,
    ...(options.data === undefined ? {} : { dataDir: options.data }),
    ...(options.port === undefined ? {} : { ports: portsFrom(options.port) }),
    recordLogs(name, line) {
      // Without its disk the stack cannot go on; a function that fails is tried again.
      if (name === STACK_LOG)
        fault.abort(new UnavailableError(`the local stack failed: ${JSON.parse(line).message}`));
      else reportFailure(name, line);
    },
  });
  onStarted(stack);
  if (options.outputs !== undefined) writeOutputs(options.outputs, { [settings.stackName]: stack.outputs });
  const checkpoint = openCheckpoint(options.data, plan);
  const clients = await connect(stack, settings);
  try {
    if (checkpoint.roundsDone > 0)
      say(`Continuing after round ${checkpoint.roundsDone} of ${plan.rounds.length}`);
    const { learning, objects } = clients;
    await provideCatalogue({ learning, settings, objects }, plan, options.seed);
    const replayed = createProgress('replaying', 'events');
    const published = await replay(plan, {
      stack,
      settings,
      checkpoint,
      signal,
      queue: clients.queue,
      learning: clients.learning,
      onProgress: (events) => replayed.update(events, plan.events),
    }).finally(() => replayed.stop());

    const ranked = createProgress('ranking', 'users');
    const personalize = {
      client: clients.lambda,
      functionName: stack.outputs[OUTPUT.personalizeFunctionName]!,
      signal,
    };
    const ranking = await rankHeldOut(plan, personalize, (users) =>
      ranked.update(users, plan.heldOut.length),
    ).finally(() => ranked.stop());
    const learned = await readLearnedState(clients.objects, clients.learning);
    const population = await clients.learning.population.read();
    const updateFunction = stack.outputs[OUTPUT.updateFunctionName];
    const summary = summarize(plan, published, learned, ranking, population, {
      duplicates: stack.metrics.sum(METRIC.eventsDuplicate),
      quarantined: stack.metrics.sum(METRIC.eventsQuarantined),
      deadLettered: await clients.deadLetters(),
      delaysMs: stack.metrics.values(METRIC.eventToEffect),
      coldStartsMs: stack.coldStarts
        .filter((start) => start.functionName === updateFunction)
        .map(({ initMs }) => initMs),
      transfer: options.transfer,
      newcomers: await newcomersLoss(plan, clients.episodes),
      example: await exampleUser(plan, SOMEBODY_NEW, personalize),
    });
    say(describe(summary, plan, population));
    if (options.keep) sayWhere(stack, options.json === true);
    if (options.json) printJson(summary);
    return stack;
  } finally {
    clients.close();
  }
}

async function datasetOf({ movielens, users, seed }: LocalOptions, embeddingDim: number) {
  if (movielens !== undefined) {
    const { movielensDataset } = await import('./replay/datasets/dataset.ts');
    return movielensDataset(movielens, { users, embeddingDim, seed });
  }
  const { simulate } = await import('./replay/datasets/simulator.ts');
  return simulate({ users, embeddingDim, seed, ...SIMULATED });
}

/** Clients of the stack's endpoints, as an application would make them. */
async function connect(stack: LocalStack, settings: { learner: string; rank: number; embeddingDim: number }) {
  const [
    { sqsClient },
    { s3Client },
    { lambdaClient },
    { dynamoClient },
    { SqsFeedbackQueue },
    { ObjectStore },
    { DynamoEpisodeStore },
    { learningObjects },
    sqs,
  ] = await Promise.all([
    import('../shared/config/clients/sqs.ts'),
    import('../shared/config/clients/s3.ts'),
    import('../shared/config/clients/lambda.ts'),
    import('../shared/config/clients/dynamodb.ts'),
    import('../shared/feedback/sqs-queue.ts'),
    import('../shared/storage/objects.ts'),
    import('../shared/episodes/dynamodb-episode-store.ts'),
    import('../shared/population/shared-learning.ts'),
    import('@aws-sdk/client-sqs'),
  ]);
  const { AWS_REGION: region = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = stack.environment;
  const common = {
    region,
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
  };
  const queueClient = sqsClient({ ...common, endpoint: stack.endpoints.sqs });
  const s3 = s3Client({ ...common, endpoint: stack.endpoints.s3 });
  const lambda = lambdaClient({ ...common, endpoint: stack.endpoints.lambda });
  const dynamodb = dynamoClient({ ...common, endpoint: stack.endpoints.dynamodb });
  const objects = new ObjectStore(s3, stack.outputs[OUTPUT.bucketName]!);
  return {
    lambda,
    objects,
    episodes: new DynamoEpisodeStore(dynamodb, { table: stack.outputs[OUTPUT.tableName]!, ttlDays: 1 }),
    queue: new SqsFeedbackQueue(queueClient, stack.outputs[OUTPUT.feedbackQueueUrl]!),
    learning: learningObjects(objects, settings),
    async deadLetters(): Promise<number> {
      const { Attributes } = await queueClient.send(
        new sqs.GetQueueAttributesCommand({
          QueueUrl: stack.outputs[OUTPUT.deadLetterQueueUrl]!,
          AttributeNames: ['ApproximateNumberOfMessages'],
        }),
      );
      return Number(Attributes?.ApproximateNumberOfMessages ?? 0);
    },
    close() {
      for (const client of [queueClient, s3, lambda, dynamodb]) client.destroy();
    },
  };
}

function writeOutputs(file: string, outputs: object): void {
  try {
    writeFileSync(file, `${JSON.stringify(outputs, null, 2)}\n`);
  } catch (cause) {
    throw new InvalidConfigurationError(`--outputs ${file}: found no file that can be written`, { cause });
  }
}

function portsFrom(first: number) {
  return { sqs: first, dynamodb: first + 1, s3: first + 2, lambda: first + 3 };
}

/** Functions log JSON; what they report as errors is a person's business, and each kind only once. */
function failureReporter(): (functionName: string, line: string) => void {
  const reported = new Set<string>();
  return (functionName, line) => {
    if (!line.includes('"level":"ERROR"')) return;
    const kind = `${functionName} ${/"(?:errorMessage|message)":"[^"]*"/.exec(line)?.[0]}`;
    if (reported.has(kind)) return;
    reported.add(kind);
    printProblem(`${functionName} failed; what it was doing is tried again: ${line}`);
  };
}

/** Where the stack answers, and how to look into it. */
function sayWhere(stack: LocalStack, json: boolean): void {
  const print = json ? printProblem : printLine;
  print('The stack stays up until Ctrl-C. To point the AWS CLI or an SDK at it:');
  for (const [name, value] of Object.entries(stack.environment)) print(`  export ${name}=${value}`);
  print('Resources:');
  for (const [name, value] of Object.entries(stack.outputs)) print(`  ${name} = ${value}`);
}

function untilInterrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function wholeNumber(maximum: number, minimum = 1) {
  return (text: string): number => {
    if (/^[1-9]\d*$/.test(text) && Number(text) >= minimum && Number(text) <= maximum) return Number(text);
    throw new InvalidArgumentError(`expected a whole number from ${minimum} to ${maximum}.`);
  };
}

function seedNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number from 0.');
}
