import type { ScoreParts } from '../contract/answers.ts';
import type { Model } from '../lora/training.ts';

/** @param own the item's own part: its popularity under the choice model, otherwise its effect */
export function scoreParts({ choice }: Model, base: number, own: number, user: number): ScoreParts {
  return choice ? { base, popularity: own, item: 0, user } : { base, popularity: 0, item: own, user };
}
