/** Differences between the effects in one adapter and the expected ones. */
export interface OrderFaults {
  /** Events without effect. */
  lost: number;
  /** Effects beyond the first. */
  repeated: number;
  /** Events that took effect after a later one of their user. */
  reordered: number;
  /** Effects that belong elsewhere, or nowhere. */
  misplaced: number;
}

/**
 * Compares the events that took effect with the expected ones, both in order, and adds the
 * differences to the counts.
 */
export function compareOrder(
  expected: readonly bigint[],
  found: readonly bigint[],
  counts: OrderFaults,
): void {
  const place = new Map(expected.map((event, i) => [event, i]));
  const seen = new Set<bigint>();
  let furthest = -1;
  for (const event of found) {
    const at = place.get(event);
    if (at === undefined) counts.misplaced += 1;
    else if (seen.has(event)) counts.repeated += 1;
    else if (at < furthest) counts.reordered += 1;
    seen.add(event);
    furthest = Math.max(furthest, at ?? -1);
  }
  counts.lost += expected.filter((event) => !seen.has(event)).length;
}
