import { isDeepStrictEqual } from 'node:util';
import { regionOfQueue } from '../../shared/client/resources.ts';
import { ENV, OUTPUT } from '../../shared/config/names.ts';
import { learningSettingsOf, settingsFromEnvironment } from '../../shared/config/settings.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { basisFor, learningObjects } from '../../shared/population/shared-learning.ts';
import {
  type CheckResult,
  type DoctorServices,
  type Finding,
  failed,
  NO_CREDENTIALS,
  ok,
  run,
  warning,
} from './check.ts';
import { makeRoundTrip } from './round-trip.ts';

/** Without these, further checks are pointless. */
export async function checkAccess({ lambda, output }: DoctorServices): Promise<CheckResult[]> {
  const credentials = await run('credentials', async () => {
    const { accessKeyId } = await lambda.config.credentials();
    if (!accessKeyId) return failed('none', NO_CREDENTIALS);
    return ok(`access key ${accessKeyId.slice(0, 4)}…${accessKeyId.slice(-4)}`);
  });
  const region = await run('region', async () => {
    const configured = await lambda.config.region();
    const deployed = regionOfQueue(await output(OUTPUT.feedbackQueueUrl));
    if (deployed === undefined || deployed === configured) return ok(configured);
    return failed(`${configured}, but the stack is in ${deployed}`, `export AWS_REGION=${deployed}`);
  });
  return [credentials, region];
}

/**
 * The other checks, one after the other.
 * @param options.roundTrip whether to publish an event and request scores that show its effect
 */
export async function checkDeployment(
  services: DoctorServices,
  { roundTrip }: { readonly roundTrip: boolean },
): Promise<CheckResult[]> {
  const { deployment, output, settings } = services;
  const results = [
    await run('functions', () => functions(services)),
    await run('queues', async () => queues(await deployment.waiting())),
    await run('bucket', async () => {
      const { objects } = await deployment.bucket();
      for await (const _ of objects.list('skills/')) break;
      return ok(await output(OUTPUT.bucketName));
    }),
    await run('table', async () => {
      await (await deployment.episodes()).recent(cellOf(settings), 1);
      return ok(await output(OUTPUT.tableName));
    }),
    await run('concurrency', () => concurrency(services)),
    await run('settings', () => functionSettings(services)),
    await run('basis', () => basis(services)),
  ];
  if (!roundTrip || results.some(({ status }) => status === 'failed')) return results;
  return [...results, await run('round trip', () => makeRoundTrip(services))];
}

const FUNCTIONS = [
  OUTPUT.updateFunctionName,
  OUTPUT.consolidateFunctionName,
  OUTPUT.personalizeFunctionName,
] as const;

async function configurationOf({ lambda, output }: DoctorServices, name: (typeof FUNCTIONS)[number]) {
  const { GetFunctionConfigurationCommand } = await import('@aws-sdk/client-lambda');
  return lambda.send(new GetFunctionConfigurationCommand({ FunctionName: await output(name) }));
}

async function functions(services: DoctorServices): Promise<Finding> {
  for (const name of FUNCTIONS) {
    const { FunctionName, State, LastUpdateStatus, StateReason } = await configurationOf(services, name);
    if (State === 'Active' && LastUpdateStatus === 'Successful') continue;
    return failed(
      `${FunctionName} is ${State}, its last update ${LastUpdateStatus} ${StateReason ?? ''}`.trim(),
      'wait until the deployment is done, and deploy again when it failed',
    );
  }
  return ok(`${FUNCTIONS.length} are active`);
}

function queues({
  feedback,
  deadLetters,
}: {
  readonly feedback: number;
  readonly deadLetters: number;
}): Finding {
  if (deadLetters > 0)
    return warning(
      `${deadLetters} dead letters, ${feedback} messages wait`,
      'look at them with attune dlq list, and send them again with attune dlq redrive',
    );
  return ok(`${feedback} messages wait, no dead letters`);
}

async function concurrency({ lambda, output }: DoctorServices): Promise<Finding> {
  const { GetAccountSettingsCommand, ListEventSourceMappingsCommand } = await import(
    '@aws-sdk/client-lambda'
  );
  const { AccountLimit = {} } = await lambda.send(new GetAccountSettingsCommand({}));
  const { EventSourceMappings = [] } = await lambda.send(
    new ListEventSourceMappingsCommand({ FunctionName: await output(OUTPUT.updateFunctionName) }),
  );
  const allowed = AccountLimit.ConcurrentExecutions ?? 0;
  const [mapping] = EventSourceMappings;
  if (mapping?.State !== 'Enabled')
    return failed(
      'nothing polls the feedback queue',
      mapping === undefined
        ? 'deploy again'
        : `aws lambda update-event-source-mapping --enabled --uuid ${mapping.UUID}`,
    );
  const used = mapping.ScalingConfig?.MaximumConcurrency;
  const found = `the account runs ${allowed} functions at once; feedback takes at most ${used ?? 'all'} of them`;
  if (used !== undefined && used <= allowed / 2) return ok(found);
  return warning(
    found,
    `set maxConcurrency to ${Math.max(2, Math.floor(allowed / 2))} or less, or ask for more ` +
      '(Service Quotas, AWS Lambda, Concurrent executions): a backlog would starve personalize',
  );
}

/** Whether the functions were deployed with the settings in the outputs. */
async function functionSettings(services: DoctorServices): Promise<Finding> {
  const { settings } = services;
  for (const name of FUNCTIONS) {
    const { FunctionName, Environment } = await configurationOf(services, name);
    const deployed: Record<string, unknown> = learningSettingsOf(
      settingsFromEnvironment(Environment?.Variables ?? {}),
    );
    const other = Object.entries(settings).filter(
      ([field, value]) => !isDeepStrictEqual(deployed[field], value),
    );
    if (other.length === 0) continue;
    const [field, value] = other[0]!;
    return failed(
      `${FunctionName} has ${ENV[field as keyof typeof ENV]}=${deployed[field]}, the outputs say ${value}`,
      'deploy again, and use the outputs file that this deployment writes',
    );
  }
  return ok(
    `${settings.embeddingDim} numbers of ${settings.embeddingModel}, rank ${settings.rank}, learner ${settings.learner}`,
  );
}

async function basis({ deployment, settings }: DoctorServices): Promise<Finding> {
  const { objects } = await deployment.bucket();
  const stored = await learningObjects(objects, settings).basis.refresh();
  const advice = 'run attune basis build with the embeddings of your items, or attune catalogue put';
  if (stored === undefined) {
    if (settings.learner === 'sgd') return ok('none, and the learner sgd needs none');
    return warning('none: interactions wait until consolidation can learn one', advice);
  }
  if (basisFor(stored, settings) === undefined) {
    const {
      basis: { embeddingDim, rank },
      embeddingModel,
    } = stored;
    return warning(
      `${embeddingDim} numbers of ${embeddingModel}, rank ${rank}: not what is deployed`,
      advice,
    );
  }
  const origin =
    stored.learnedFrom === undefined ? 'of a catalogue' : `of ${stored.learnedFrom} interactions`;
  return ok(`${stored.basis.id}, ${origin}`);
}
