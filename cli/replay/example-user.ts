import type { RecommendAnswer } from '../../shared/contract/answers.ts';
import { askPersonalize, type PersonalizeFunction } from './ask-personalize.ts';
import type { ReplayPlan } from './plan.ts';

/** One user and the recommendations for that user: titles, best first. */
export interface ExampleUser {
  readonly userId: string;
  /** Number of published interactions, and the items of the best of them. */
  readonly interactions: number;
  readonly liked: readonly string[];
  /** Recommendations for a new user. */
  readonly before: readonly string[];
  /** Recommendations with the user's own adapter. */
  readonly after: readonly string[];
}

const SHOWN = 5;

/**
 * The first user of a replay, with recommendations for a new user and for this user. Both leave out
 * items that the user has interacted with.
 * @param somebodyNew an id without a user
 */
export async function exampleUser(
  plan: ReplayPlan,
  somebodyNew: string,
  personalize: PersonalizeFunction,
): Promise<ExampleUser | null> {
  const userId = plan.heldOut[0]?.userId;
  if (userId === undefined) return null;
  const met = plan.rounds.flat().filter((event) => event.userId === userId);
  const interactions = met.flatMap((event) => event.interactions);
  const titlesOf = (items: readonly { readonly itemId?: string | undefined }[]) =>
    items.map(({ itemId = '' }) => plan.titles.get(itemId) || itemId);
  const ask = (asking: string) =>
    askPersonalize<RecommendAnswer>(personalize, {
      action: 'recommend',
      userId: asking,
      limit: SHOWN,
      exclude: interactions.map(({ itemId }) => itemId),
    });
  return {
    userId,
    interactions: interactions.length,
    liked: titlesOf(interactions.toSorted((a, b) => b.reward! - a.reward!).slice(0, SHOWN)),
    before: titlesOf((await ask(somebodyNew)).items),
    after: titlesOf((await ask(userId)).items),
  };
}
