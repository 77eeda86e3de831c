/** Runs in a row that accepted no prior. */
export function longestRefusal(accepted: readonly boolean[]): number {
  let [longest, now] = [0, 0];
  for (const each of accepted) {
    now = each ? 0 : now + 1;
    longest = Math.max(longest, now);
  }
  return longest;
}
