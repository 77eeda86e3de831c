import type {
  ConsolidationRequest,
  ConsolidationServices,
} from '../../../functions/consolidate-patterns/consolidate.ts';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { AdapterStore } from '../../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../../shared/config/settings.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import { cellOf } from '../../../shared/episodes/episode.ts';
import type { InMemoryEpisodeStore } from '../../../shared/episodes/in-memory-episode-store.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import type { CorruptObjectError } from '../../../shared/errors.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { Lease } from '../../../shared/storage/lease.ts';
import type { Objects } from '../../../shared/storage/objects.ts';
import { SETTINGS } from '../../support/container.ts';
import { MemoryEpisodes } from '../../support/memory-episodes.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const random = createRandom('consolidate');
export const items = Array.from({ length: 40 }, () =>
  Float32Array.from({ length: SETTINGS.embeddingDim }, (_, i) => (i === 0 ? 2 : random.normal())),
);
export const FORCED: ConsolidationRequest = { force: true, settleSeconds: 0 };

/**
 * A deployment in memory whose users all like items along the second axis.
 * @param options.before the same deployment under earlier settings
 */
export async function createDeployment({
  withBasis = true,
  settings = SETTINGS,
  before,
}: {
  withBasis?: boolean;
  settings?: FunctionSettings;
  before?: { clock: { time: number }; objects: MemoryObjects; episodes: InMemoryEpisodeStore };
} = {}) {
  const clock = before?.clock ?? { time: 1_000_000 };
  const now = () => clock.time;
  const objects = before?.objects ?? new MemoryObjects();
  const episodes = before?.episodes ?? new MemoryEpisodes(clock);
  const learning = learningObjects(objects, settings, { maxAgeMs: 0 });
  const basis = basisFromEmbeddings(items, { rank: settings.rank, scalingFactor: 1, seed: 1 });
  if (withBasis) await learning.basis.write({ basis, embeddingModel: settings.embeddingModel });
  const adapters = new AdapterStore(objects);
  const pending = new PendingEpisodes(objects);
  const corrupt: CorruptObjectError[] = [];
  /** A container of the function, with the plain stores or the given ones. */
  const container = (
    stores: { objects: Objects; episodes: ConsolidationServices['episodes'] } = { objects, episodes },
  ): ConsolidationServices => ({
    cell: cellOf(settings),
    settings,
    learning: learningObjects(stores.objects, settings, { maxAgeMs: 0 }),
    adapters: new AdapterStore(stores.objects),
    episodes: stores.episodes,
    pending: new PendingEpisodes(stores.objects),
    lease: new Lease(stores.objects, cellOf(settings)),
    now,
    onCorrupt: (error) => corrupt.push(error),
  });
  const feedback = async (
    userId: string,
    index: number,
    { late = false, withItems = true, reward }: { late?: boolean; withItems?: boolean; reward?: number } = {},
  ) => {
    clock.time += 10;
    const key = userKey(userId);
    const event = eventOf(userId, index, { withItems, reward });
    const loaded = await adapters.load(key);
    const { adapter } = applyEvents(loaded?.adapter, [event], await readSharedLearning(learning, settings), {
      userKey: key,
      settings,
      now: now(),
    });
    if (adapter === undefined) return;
    await adapters.commit(adapter, loaded?.etag);
    await (late ? pending.put(adapter.lastEpisode!) : episodes.store(adapter.lastEpisode!));
  };
  const crowd = async (users: number, events = 2) => {
    for (let user = 0; user < users; user++)
      for (let event = 0; event < events; event++) await feedback(`user ${user}`, event);
  };
  const pass = (milliseconds: number) => {
    clock.time += milliseconds;
  };
  return {
    clock,
    objects,
    episodes,
    learning,
    adapters,
    container,
    services: container(),
    corrupt,
    feedback,
    crowd,
    pass,
  };
}

/**
 * An event about five items. @param reward default 0.9 for items along the second axis, 0.2 for all
 * others
 */
function eventOf(
  userId: string,
  index: number,
  { withItems, reward }: { withItems: boolean; reward: number | undefined },
) {
  const interactions = Array.from({ length: 5 }, (_, i) => {
    const item = (index * 5 + i) % items.length;
    return {
      ...(withItems ? { itemId: `item ${item}` } : {}),
      embedding: items[item]!,
      reward: reward ?? (items[item]![1]! > 0 ? 0.9 : 0.2),
    };
  });
  return {
    schemaVersion: 1,
    eventId: `${index}`,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions,
  } as const;
}
