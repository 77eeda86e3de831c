import { createHash } from 'node:crypto';
import { applyEvents } from '../../functions/update-adapters/apply-events.ts';
import { encodeAdapter, type StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import { parseFeedbackEvent } from '../../shared/feedback/event.ts';
import { learnerOf } from '../../shared/lora/learner.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';
import type { WorkloadMessage } from './workload.ts';

/** The expected final state of a user's adapter. */
export interface Expected {
  /** Event ids in the expected order of effect. */
  readonly eventIds: readonly string[];
  /** See {@link learnedBytes}. */
  readonly digest: string;
}

/**
 * Applies the same messages without faults, on one thread, in memory, each event in an update of
 * its own.
 * @returns by user key
 */
export function expectedAdapters(
  messages: readonly WorkloadMessage[],
  learning: SharedLearning,
  settings: FunctionSettings,
): Map<string, Expected> {
  const adapters = new Map<string, StoredAdapter>();
  const eventIds = new Map<string, string[]>();
  for (const { groupId, body, fate, eventId } of messages) {
    if (fate !== 'applied' || eventId === undefined) continue;
    const event = parseFeedbackEvent(body, settings);
    const { adapter } = applyEvents(adapters.get(groupId), [event], learning, {
      userKey: groupId,
      settings,
      now: 0,
    });
    if (adapter !== undefined) adapters.set(groupId, adapter);
    eventIds.set(groupId, [...(eventIds.get(groupId) ?? []), eventId]);
  }
  return new Map(
    [...adapters].map(([userKey, adapter]) => [
      userKey,
      { eventIds: eventIds.get(userKey)!, digest: learnedBytes(adapter, learning) },
    ]),
  );
}

/**
 * Hash of everything that an adapter has learned: its whole object, with B solved under the given
 * population model, without the fields that depend on how events were split into updates (version,
 * times, the last episode).
 */
export function learnedBytes(adapter: StoredAdapter, { model, population }: SharedLearning): string {
  const bytes = encodeAdapter({
    ...adapter,
    weights: learnerOf(adapter.state.learner).solve(adapter.state, model),
    skillsVersion: population.version,
    version: 1,
    createdAt: 0,
    updatedAt: 0,
    lastEpisode: null,
  });
  return createHash('sha256').update(bytes).digest('hex');
}
