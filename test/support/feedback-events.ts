import type { FeedbackMessage } from '../../functions/update-adapters/process-batch.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeFeedbackEvent, type FeedbackEvent, parseFeedbackEvent } from '../../shared/feedback/event.ts';
import { SETTINGS } from './container.ts';

/** Embeddings that span the space, for a basis. */
export const ITEMS = Array.from({ length: SETTINGS.embeddingDim }, (_, i) =>
  new Float32Array(SETTINGS.embeddingDim).fill(0.1).with(i, 1),
);

/** A message with one reward for one item. */
export function message(eventId: string, { userId = 'ada', reward = 1, item = 0 } = {}): FeedbackMessage {
  const body = encodeFeedbackEvent({
    eventId,
    userId,
    occurredAt: '2026-03-01T12:00:00Z',
    interactions: [{ itemId: `item ${item}`, embedding: ITEMS[item]!, reward }],
  });
  return { messageId: `message of ${eventId}`, groupId: userKey(userId), sentAt: 900, body };
}

export function event(eventId: string, options?: Parameters<typeof message>[1]): FeedbackEvent {
  return parseFeedbackEvent(message(eventId, options).body, SETTINGS);
}

/** A message of the same user that can never be applied. */
export function poison(messageId: string, userId = 'ada'): FeedbackMessage {
  return {
    messageId,
    groupId: userKey(userId),
    sentAt: 900,
    body: JSON.stringify({ userId, oops: messageId }),
  };
}
