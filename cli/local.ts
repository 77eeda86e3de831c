import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LocalStack } from '../infra/local/local-stack.ts';
import { DAMAGED } from '../shared/config/names.ts';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import { InvalidConfigurationError, UnavailableError } from '../shared/errors.ts';
import { EXIT, ExitError, interruption } from './exit.ts';
import { printJson, printLine, printProblem } from './output.ts';
import type { Kept } from './replay/kept.ts';
import type { Running } from './replay/play.ts';
import { settingsAmong, withSettings } from './setting-options.ts';

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
  empty?: boolean;
}

/** The simulated data set, when no data set is given. */
const SIMULATED = { items: 1_000, interactionsPerUser: 60 };

/** `attune local`: runs the whole stack on this machine and replays feedback through it. */
export function localCommand(command: Command): Command {
  command
    .addOption(
      new Option('--empty', 'replay nothing, for your own data; stays up until Ctrl-C').conflicts([
        'movielens',
        'users',
        'eventsPerUser',
        'seed',
      ]),
    )
    .addOption(
      new Option(
        '--movielens <folder>',
        'replay ratings.csv, movies.csv and tags.csv of this folder; default: simulated users',
      ),
    )
    .option('--users <n>', 'users to replay', wholeNumber(100_000), 100)
    .option('--events-per-user <n>', 'most events per user (5 interactions each)', wholeNumber(10_000))
    .option('--seed <n>', 'seed of all random choices, such as the users to replay', seedNumber, 1)
    .option(
      '--data <folder>',
      'keep all data in this folder, and continue from it after a stop; default: in memory',
    )
    .option(
      '--port <n>',
      'first of four ports: SQS, DynamoDB, S3, Lambda; default: free ones',
      wholeNumber(65_532, 1_024),
    )
    .option('--keep', 'stay up afterwards, until Ctrl-C')
    .option(
      '--outputs <file>',
      'write the names of the resources, as cdk deploy --outputs-file does, for the other commands',
    )
    .option('--json', 'print the result as one line of JSON, the last on stdout')
    .addHelpText('after', '\nA setting here overrides cdk.json for this start; attune init writes it there.')
    .action(local);
  return withSettings(command);
}

async function local(options: LocalOptions): Promise<void> {
  const interrupted = interruption();
  const fault = new AbortController();
  const signal = AbortSignal.any([interrupted, fault.signal]);
  const assemblyDir = await mkdtemp(join(tmpdir(), 'attune-'));
  let stack: LocalStack | undefined;
  try {
    await run(options, assemblyDir, signal, fault, (started) => {
      stack = started;
    });
    if (options.keep || options.empty) await untilInterrupted(signal);
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

/** The work to do on the running stack. */
type Task = (running: Running) => Promise<void>;

async function run(
  options: LocalOptions,
  assemblyDir: string,
  signal: AbortSignal,
  fault: AbortController,
  onStarted: (stack: LocalStack) => void,
): Promise<void> {
  // Loaded here, so that --help and a mistyped option answer at once.
  const [{ readSettings }, { synthesizeAssembly }, { connect }, { checkFree }] = await Promise.all([
    import('./cdk-json.ts'),
    import('./replay/assembly.ts'),
    import('./replay/connect.ts'),
    import('../infra/local/listen.ts'),
  ]);
  const ports = options.port === undefined ? undefined : portsFrom(options.port);
  if (ports !== undefined) await checkFree(ports);
  const overrides = settingsAmong(options);
  const settings = readSettings(overrides);
  const task = options.empty ? await ownData(options) : await replayed(options, settings);
  if (!options.json) printLine('Synthesizing the stack and bundling its functions ...');
  await synthesizeAssembly(assemblyDir, signal, overrides);
  const { LocalStack, STACK_LOG } = await import('../infra/local/local-stack.ts');
  const reportFailure = failureReporter();
  const stack = await LocalStack.start({
    assemblyDir,
    ...(options.data === undefined ? {} : { dataDir: options.data }),
    ...(ports === undefined ? {} : { ports }),
    recordLogs(name, line) {
      // Without its disk the stack cannot continue; a failed function is retried.
      if (name === STACK_LOG)
        fault.abort(new UnavailableError(`the local stack failed: ${JSON.parse(line).message}`));
      else reportFailure(name, line);
    },
  });
  onStarted(stack);
  if (options.outputs !== undefined) writeOutputs(options.outputs, { [settings.stackName]: stack.outputs });
  const clients = await connect(stack, settings);
  try {
    await task({ stack, settings, clients, signal });
  } finally {
    clients.close();
  }
}

/** A stack for the user's own data, without a replay. */
async function ownData(options: LocalOptions): Promise<Task> {
  const [{ keptIn }, { claimForOwnData }] = await Promise.all([
    import('./replay/kept.ts'),
    import('./replay/checkpoint.ts'),
  ]);
  return async ({ stack, settings, clients }) => {
    claimForOwnData(options.data);
    const kept = await keptIn(clients.objects, clients.learning, settings);
    if (options.json) printJson({ ...kept, outputs: stack.outputs, environment: stack.environment });
    else printLine(`\n${describeKept(kept, settings, options.data)}\n`);
    sayWhere(stack, options);
  };
}

function describeKept(kept: Kept, settings: DeploymentSettings, data: string | undefined): string {
  const { users, interactions, startAnew, items, basis } = kept;
  const { embeddingDim, embeddingModel } = settings;
  const expects = `Embeddings have ${embeddingDim} numbers, of the model ${embeddingModel}.`;
  const where =
    data === undefined
      ? 'Everything is in memory, and gone when the stack ends.'
      : `Everything is kept in ${data}.`;
  const holds =
    users === 0
      ? 'The stack holds no user yet.'
      : `The stack holds ${users} users with ${interactions} interactions${startAnew === 0 ? '' : `; ${startAnew} of them start anew, because they learned under other settings`}.`;
  const catalogue = `${items === 0 ? 'No catalogue' : `A catalogue of ${items} items`}, ${basis === null ? 'no basis' : `basis ${basis}`}.`;
  return [expects, holds, catalogue, where].join('\n');
}

/** The replay of a data set, planned before anything starts. */
async function replayed(options: LocalOptions, settings: DeploymentSettings): Promise<Task> {
  const [{ planReplay }, { playReplay }] = await Promise.all([
    import('./replay/plan.ts'),
    import('./replay/play.ts'),
  ]);
  const plan = planReplay(await datasetOf(options, settings.embeddingDim), options.eventsPerUser);
  return async (running) => {
    const { summary, text } = await playReplay(plan, running, options);
    if (!options.json) printLine(text);
    if (options.keep) sayWhere(running.stack, options);
    if (options.json) printJson(summary);
  };
}

async function datasetOf({ movielens, users, seed }: LocalOptions, embeddingDim: number) {
  if (movielens !== undefined) {
    const { movielensDataset } = await import('./replay/datasets/dataset.ts');
    return movielensDataset(movielens, { users, embeddingDim, seed });
  }
  const { simulate } = await import('./replay/datasets/simulator.ts');
  return simulate({ users, embeddingDim, seed, ...SIMULATED });
}

function writeOutputs(file: string, outputs: object): void {
  try {
    writeFileSync(file, `${JSON.stringify(outputs, null, 2)}\n`);
  } catch (cause) {
    throw new InvalidConfigurationError(`--outputs ${file}: found no writable file`, { cause });
  }
}

function portsFrom(first: number) {
  return { sqs: first, dynamodb: first + 1, s3: first + 2, lambda: first + 3 };
}

/** Functions log JSON. Prints their errors, each kind once. */
function failureReporter(): (functionName: string, line: string) => void {
  const reported = new Set<string>();
  return (functionName, line) => {
    if (!line.includes('"level":"ERROR"')) return;
    const damaged = line.includes(`"message":"${DAMAGED}"`) ? /"key":"([^"]*)"/.exec(line)?.[1] : undefined;
    const message = /"(?:errorMessage|message)":"[^"]*"/.exec(line)?.[0];
    const kind = damaged ?? `${functionName} ${message}`;
    if (reported.has(kind)) return;
    reported.add(kind);
    printProblem(
      damaged === undefined
        ? `${functionName} failed and will be retried: ${line}`
        : `${damaged} is damaged; docs/recovery.md has the command that repairs it`,
    );
  };
}

/** Prints the addresses of the stack and how to use it. */
function sayWhere(stack: LocalStack, { json, empty, outputs }: LocalOptions): void {
  const print = json ? printProblem : printLine;
  print('The stack stays up until Ctrl-C. To point attune, the AWS CLI or an SDK at it:');
  // A profile would take precedence over the keys below.
  print('  unset AWS_PROFILE');
  for (const [name, value] of Object.entries(stack.environment)) print(`  export ${name}=${value}`);
  print('Resources:');
  for (const [name, value] of Object.entries(stack.outputs)) print(`  ${name} = ${value}`);
  if (!empty) return;
  const file = outputs ?? '<file of --outputs>';
  print('Then, in a shell that has these variables:');
  print(`  npx attune catalogue put <items.jsonl> --outputs ${file}`);
  print(`  npx attune publish <feedback.jsonl> --outputs ${file}`);
  print(`  npx attune recommend --user <id> --outputs ${file}`);
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
