import type { LocalStack } from '../../infra/local/local-stack.ts';
import { METRIC, OUTPUT } from '../../shared/config/names.ts';
import type { DeploymentSettings } from '../../shared/config/settings.ts';
import { createProgress, printLine } from '../output.ts';
import { openCheckpoint } from './checkpoint.ts';
import type { StackClients } from './connect.ts';
import { exampleUser } from './example-user.ts';
import { rankHeldOut, readLearnedState, SOMEBODY_NEW } from './measure.ts';
import { newcomersLoss } from './newcomers.ts';
import type { ReplayPlan } from './plan.ts';
import { provideCatalogue, replay } from './replay.ts';
import { describe, type ReplaySummary, summarize } from './summary.ts';

/** A stack that is up. */
export interface Running {
  readonly stack: LocalStack;
  readonly settings: DeploymentSettings;
  readonly clients: StackClients;
  readonly signal: AbortSignal;
}

/**
 * Replays a plan, ranks what it held out, and summarises the result.
 * @throws InvalidConfigurationError when the data folder holds something else, and what {@link
 * replay} throws
 */
export async function playReplay(
  plan: ReplayPlan,
  { stack, settings, clients, signal }: Running,
  { data, seed, json }: { readonly data?: string; readonly seed: number; readonly json?: boolean },
): Promise<{ summary: ReplaySummary; text: string }> {
  const { learning, objects } = clients;
  const checkpoint = openCheckpoint(data, plan, settings);
  if (checkpoint.roundsDone > 0 && !json)
    printLine(`Continuing after round ${checkpoint.roundsDone} of ${plan.rounds.length}`);
  await provideCatalogue({ learning, settings, objects }, plan, seed);
  const progress = createProgress('replaying', 'events');
  const published = await replay(plan, {
    stack,
    settings,
    checkpoint,
    signal,
    queue: clients.queue,
    learning,
    onProgress: (events) => progress.update(events, plan.events),
  }).finally(() => progress.stop());

  const ranked = createProgress('ranking', 'users');
  const personalize = {
    client: clients.lambda,
    functionName: stack.outputs[OUTPUT.personalizeFunctionName]!,
    signal,
  };
  const ranking = await rankHeldOut(plan, personalize, (users) =>
    ranked.update(users, plan.heldOut.length),
  ).finally(() => ranked.stop());
  const learned = await readLearnedState(objects, learning);
  const population = await learning.population.read();
  const updateFunction = stack.outputs[OUTPUT.updateFunctionName];
  const summary = summarize(plan, published, learned, ranking, population, {
    duplicates: stack.metrics.sum(METRIC.eventsDuplicate),
    quarantined: stack.metrics.sum(METRIC.eventsQuarantined),
    deadLettered: await clients.deadLetters(),
    delaysMs: stack.metrics.values(METRIC.eventToEffect),
    coldStartsMs: stack.coldStarts
      .filter((start) => start.functionName === updateFunction)
      .map(({ initMs }) => initMs),
    transfer: settings.transfer,
    newcomers: await newcomersLoss(plan, clients.episodes),
    example: await exampleUser(plan, SOMEBODY_NEW, personalize),
  });
  return { summary, text: describe(summary, plan, population) };
}
