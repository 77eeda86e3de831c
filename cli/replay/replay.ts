import { setTimeout as delay } from 'node:timers/promises';
import type { LocalStack } from '../../infra/local/local-stack.ts';
import { orAborted } from '../../shared/abort.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { unitHalves } from '../../shared/catalogue/item.ts';
import { METRIC, OUTPUT } from '../../shared/config/names.ts';
import type { DeploymentSettings } from '../../shared/config/settings.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { UnavailableError } from '../../shared/errors.ts';
import { encodeFeedbackEvent, type FeedbackEventInput } from '../../shared/feedback/event.ts';
import { FeedbackPublisher } from '../../shared/feedback/publisher.ts';
import type { FeedbackQueue } from '../../shared/feedback/queue.ts';
import { basisFromEmbeddings, MAX_FEATURES } from '../../shared/lora/basis.ts';
import type { LearningObjects } from '../../shared/population/shared-learning.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import { printProblem } from '../output.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { ReplayPlan } from './plan.ts';
import { watchForStall } from './stall.ts';

export interface ReplayServices {
  readonly stack: LocalStack;
  readonly settings: DeploymentSettings;
  readonly queue: FeedbackQueue;
  readonly learning: LearningObjects;
  readonly checkpoint: Checkpoint;
  readonly signal: AbortSignal;
  readonly onProgress: (events: number, phase: string) => void;
}

/** What this process published; less than the plan when the replay continued an earlier one. */
export interface Published {
  readonly interactions: number;
  readonly events: number;
  /** Events that were sent twice on purpose. */
  readonly sentTwice: number;
  /** Seconds from publishing until everything had taken effect, without consolidation. */
  readonly seconds: number;
  readonly consolidations: number;
}

/**
 * Most events in flight: a steady load, so that delays are those of the path and not of a backlog.
 */
const WAVE = 32;
/** One of so many events is sent twice. */
const SENT_TWICE = 50;

/** Stores the catalogue and its basis, unless the deployment has them. */
export async function provideCatalogue(
  {
    learning,
    settings,
    objects,
  }: Pick<ReplayServices, 'learning' | 'settings'> & { readonly objects: Objects },
  plan: ReplayPlan,
  seed: number,
): Promise<void> {
  const { embeddingDim, rank, scalingFactor, embeddingModel } = settings;
  let basis = (await learning.basis.refresh())?.basis ?? null;
  if (basis === null && rank * embeddingDim <= MAX_FEATURES) {
    basis = basisFromEmbeddings([...plan.items.values()], { rank, scalingFactor, seed });
    await learning.basis.write({ basis, embeddingModel });
  }
  if ((await new CatalogueReader(objects, settings).manifest()) !== undefined) return;
  const items = [...plan.items].map(([itemId, vector]) => ({
    itemId,
    embedding: unitHalves(vector),
    attributes: {},
  }));
  await new CatalogueWriter(objects, settings, { basis, now: Date.now }).put(items);
}

/**
 * Publishes the rounds after the checkpoint, each followed by consolidation once the queue is
 * empty. Repeating a round after a crash changes nothing, because its events have the same ids.
 * @throws UnavailableError when events could not be published or a function failed; the signal's
 * reason when it is aborted
 */
export async function replay(plan: ReplayPlan, services: ReplayServices): Promise<Published> {
  const { stack } = services;
  const advance = { progress: () => handled(stack), inFlight: () => stack.unfinishedMessages };
  const stopWatching = watchForStall(advance, printProblem);
  return replayRounds(plan, services).finally(stopWatching);
}

async function replayRounds(plan: ReplayPlan, services: ReplayServices): Promise<Published> {
  const { stack, checkpoint, signal, onProgress } = services;
  const total = { interactions: 0, events: 0, sentTwice: 0, seconds: 0, consolidations: 0 };
  let behind = plan.rounds.slice(0, checkpoint.roundsDone).reduce((sum, round) => sum + round.length, 0);
  for (const [index, round] of plan.rounds.entries()) {
    if (index < checkpoint.roundsDone) continue;
    const startedAt = performance.now();
    const published = await publishRound(round, services, behind);
    total.sentTwice += await sendAgain(round, services.queue);
    await orAborted(stack.idle(), signal);
    total.seconds += (performance.now() - startedAt) / 1000;
    behind += round.length;
    total.interactions += published.interactions;
    total.events += published.events;
    onProgress(behind, 'consolidating');
    const consolidate = stack.outputs[OUTPUT.consolidateFunctionName]!;
    await orAborted(stack.invoke(consolidate, { force: true, settleSeconds: 0 }), signal);
    total.consolidations += 1;
    // Warm functions would use their cached population model for some seconds, and a replay must be
    // reproducible.
    await stack.recycle();
    checkpoint.save(index + 1);
  }
  return total;
}

async function publishRound(
  round: readonly FeedbackEventInput[],
  { stack, queue, settings, signal, onProgress }: ReplayServices,
  behind: number,
): Promise<{ interactions: number; events: number }> {
  const publisher = new FeedbackPublisher({ queue, embeddingDim: settings.embeddingDim });
  const handledBefore = handled(stack);
  let interactions = 0;
  let events = 0;
  for (let start = 0; start < round.length; start += WAVE) {
    while (events - (handled(stack) - handledBefore) > WAVE && !stack.isIdle) await delay(2);
    signal.throwIfAborted();
    const report = await publisher.publishEvents(round.slice(start, start + WAVE), { signal });
    const [failure] = report.failed;
    signal.throwIfAborted();
    if (failure !== undefined) {
      throw new UnavailableError(
        `event ${failure.eventId} could not be published: ${failure.code}: ${failure.message}`,
      );
    }
    interactions += report.interactions;
    events += report.events;
    onProgress(behind + events, 'replaying');
  }
  return { interactions, events };
}

/**
 * Like a producer that lost the answer and retries after SQS's deduplication interval: a new
 * message with the same event.
 */
async function sendAgain(round: readonly FeedbackEventInput[], queue: FeedbackQueue): Promise<number> {
  const again = round.filter((_, index) => index % SENT_TWICE === 0);
  for (const [index, event] of again.entries()) {
    await queue.sendBatch([
      {
        id: String(index),
        body: encodeFeedbackEvent(event),
        messageGroupId: userKey(event.userId),
        messageDeduplicationId: userKey(`again ${event.eventId}`),
      },
    ]);
  }
  return again.length;
}

function handled({ metrics }: LocalStack): number {
  return (
    metrics.sum(METRIC.eventsApplied) +
    metrics.sum(METRIC.eventsDuplicate) +
    metrics.sum(METRIC.eventsQuarantined)
  );
}
