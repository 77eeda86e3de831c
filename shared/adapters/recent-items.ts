/**
 * The items that a user has interacted with last, as their 64-bit keys, each once, in order of its last interaction, oldest first.
 * A recommendation leaves them out.
 */
export const RECENT_ITEMS_KEPT = 1_024;

/** The newest {@link RECENT_ITEMS_KEPT} of `recent` followed by `added`. Does not depend on how `added` is cut into calls. */
export function rememberItems(recent: BigUint64Array, added: readonly bigint[]): BigUint64Array {
  if (added.length === 0) return recent;
  const inOrder = new Set(recent);
  for (const key of added) {
    inOrder.delete(key);
    inOrder.add(key);
  }
  return BigUint64Array.from([...inOrder].slice(-RECENT_ITEMS_KEPT));
}
