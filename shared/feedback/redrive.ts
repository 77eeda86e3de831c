import { UnavailableError } from '../errors.ts';
import type { DeadLetter, DeadLetters } from './dead-letters.ts';
import type { FeedbackQueue } from './queue.ts';

/** A message to send again. */
export interface Redriven {
  readonly messageId: string;
  readonly groupId: string;
  readonly body: string;
}

/**
 * Sends a message to the feedback queue again. Safe to repeat: within five minutes SQS drops the
 * second by its deduplication id, later the adapter knows the event.
 * @throws UnavailableError when the queue did not accept it, and the queue's own errors
 */
export async function sendAgain({ messageId, groupId, body }: Redriven, queue: FeedbackQueue): Promise<void> {
  const { failed } = await queue.sendBatch([
    { id: '0', body, messageGroupId: groupId, messageDeduplicationId: `redrive-${messageId}` },
  ]);
  const [refusal] = failed;
  if (refusal !== undefined) {
    throw new UnavailableError(
      `message ${messageId}: the queue did not accept it: ${refusal.code}: ${refusal.message}`,
    );
  }
}

/**
 * Handles the messages of the dead-letter queue and deletes the handled ones. After a failure the
 * user's later messages stay, so that none overtakes another.
 * @param isWanted the others stay; must be the same for all messages of a group
 * @returns the number of handled messages, and the first error of each stopped group
 */
export async function drainDeadLetters(
  deadLetters: DeadLetters,
  isWanted: (letter: DeadLetter) => boolean,
  handle: (letter: DeadLetter) => Promise<void>,
): Promise<{ readonly handled: number; readonly errors: readonly unknown[] }> {
  const held: DeadLetter[] = [];
  const stopped = new Map<string, unknown>();
  let handled = 0;
  try {
    for await (const letter of deadLetters.receive()) {
      if (!isWanted(letter) || stopped.has(letter.groupId)) {
        held.push(letter);
        continue;
      }
      try {
        await handle(letter);
        await deadLetters.delete(letter);
        handled += 1;
      } catch (error) {
        stopped.set(letter.groupId, error);
        held.push(letter);
      }
    }
  } finally {
    // Releases the last message first, so that each group is complete when its first message
    // becomes visible.
    for (const letter of held.reverse()) await deadLetters.release(letter);
  }
  return { handled, errors: [...stopped.values()] };
}
