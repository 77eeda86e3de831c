import type { ScoreParts } from '../shared/contract/answers.ts';

/** The summands of a score as text. */
export function scoreSum({ base, popularity, item, user }: ScoreParts): string {
  const own = popularity === 0 ? `${item.toFixed(4)} (item)` : `${popularity.toFixed(4)} (popularity)`;
  return `  = ${base.toFixed(4)} + ${own} + ${user.toFixed(4)} (user)`;
}
