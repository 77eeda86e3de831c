import type { ScoreParts } from '../contract/answers.ts';
import type { Model } from '../lora/training.ts';

export interface Summands {
  readonly base: number;
  /** The item's own part: its popularity under the choice model, otherwise its effect. */
  readonly item: number;
  /** The gain from the user's picks. */
  readonly together: number;
  readonly user: number;
}

export function scoreParts({ choice }: Model, { base, item, together, user }: Summands): ScoreParts {
  return choice
    ? { base, popularity: item, item: 0, together, user }
    : { base, popularity: 0, item, together, user };
}
