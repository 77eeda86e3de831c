import { NO_RECENT_ITEMS, type RecentItems } from '../../shared/adapters/recent-items.ts';
import { type Catalogue, type Place, placeOf } from '../../shared/catalogue/catalogue-reader.ts';
import { psiOf } from '../../shared/catalogue/loaded-features.ts';
import { itemIdAt } from '../../shared/catalogue/shard.ts';
import type { Because } from '../../shared/contract/answers.ts';
import { pullsFor } from '../../shared/lora/learner.ts';
import type { PastRewards } from '../../shared/lora/pulls.ts';
import type { ServedUser } from '../../shared/serving/served-user.ts';

/** Most past items that explain each item of an answer. */
const MOST_NAMED = 5;

/**
 * Divides the user's part of scores among the items of the user's past, as far as the adapter
 * remembers them and the catalogue has them.
 * @returns a function that explains one item of the catalogue, given the user's part of its score;
 * undefined when the user is not served by the own adapter, or scores are not linear in the rewards
 */
export function becauseFor(
  { source, adapter, shared }: ServedUser,
  catalogue: Catalogue,
): ((place: Place, user: number) => Because) | undefined {
  if (source !== 'adapter' || adapter === undefined) return undefined;
  const { basis, model } = shared;
  const pulls = basis === null ? null : pullsFor(adapter.state, model);
  if (pulls === null) return undefined;
  const past = pastOf(adapter.recentItems ?? NO_RECENT_ITEMS, catalogue);
  return (place, user) => {
    const { prior, of } = pulls(psiAt(catalogue, place));
    const pulled = past.map(({ itemId, rewards }) => ({ itemId, pull: of(rewards) }));
    const items = pulled.sort((a, b) => Math.abs(b.pull) - Math.abs(a.pull)).slice(0, MOST_NAMED);
    return { prior, items, rest: items.reduce((left, { pull }) => left - pull, user - prior) };
  };
}

function pastOf({ keys, sums }: RecentItems, catalogue: Catalogue) {
  const past: { readonly itemId: string; readonly rewards: PastRewards }[] = [];
  keys.forEach((key, i) => {
    const [count = 0, rewards = 0, effects = 0] = sums.subarray(3 * i, 3 * i + 3);
    const place = count === 0 ? undefined : placeOf(catalogue, key);
    if (place === undefined) return;
    const itemId = itemIdAt(catalogue.shards[place.shard]!, place.row);
    past.push({ itemId, rewards: { psi: psiAt(catalogue, place), count, rewards, effects } });
  });
  return past;
}

function psiAt(catalogue: Catalogue, { shard, row }: Place): Float64Array {
  return psiOf(catalogue.shards[shard]!.features!, row);
}
