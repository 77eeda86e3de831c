import type { EmbeddedItem, PersonalizeAnswer, ScoredItem } from '../contract/answers.ts';
import type { Candidate, PersonalizeRequest } from '../contract/personalize-request.ts';
import { itemKey } from '../episodes/episode.ts';
import { encodeEmbedding } from '../feedback/embedding-codec.ts';
import { forward, userPart } from '../lora/forward.ts';
import { gainOf } from '../population/gains.ts';
import { itemPartOfKey } from '../population/population-model.ts';
import { scoreParts } from './score-parts.ts';
import { type ServingServices, servedUser } from './served-user.ts';

/**
 * Scores candidates for a user, or personalises their embeddings.
 * @throws UnavailableError, CorruptObjectError
 */
export async function personalize(
  { userId, candidates, answer, explain }: PersonalizeRequest,
  services: ServingServices,
): Promise<PersonalizeAnswer> {
  const { source, lora, gains, adapter, shared } = await servedUser(userId, services);
  const { population, model } = shared;

  const scored = ({ itemId, embedding }: Candidate, index: number): ScoredItem => {
    const base = model.choice ? 0 : model.prior.meanReward;
    // A held-out user gets the same as without Attune: all scores are equal, and candidates keep
    // their order.
    const key = itemId === undefined ? undefined : itemKey(itemId);
    const item = source === 'holdout' || key === undefined ? 0 : itemPartOfKey(population, key);
    const together = gains === null || key === undefined ? 0 : gainOf(gains, key);
    const user = userPart(lora, embedding);
    return {
      index,
      ...(itemId === undefined ? {} : { itemId }),
      score: base + item + together + user,
      ...(explain ? { parts: scoreParts(model, { base, item, together, user }) } : {}),
    };
  };
  const embedded = ({ itemId, embedding }: Candidate, index: number): EmbeddedItem => ({
    index,
    ...(itemId === undefined ? {} : { itemId }),
    embedding: encodeEmbedding(forward(lora, embedding)),
  });
  return {
    userId,
    adapterVersion: adapter?.version ?? 0,
    skillsVersion: population.version,
    source,
    items:
      answer === 'embeddings'
        ? candidates.map(embedded)
        : candidates.map(scored).sort((a, b) => b.score - a.score || a.index - b.index),
  };
}
