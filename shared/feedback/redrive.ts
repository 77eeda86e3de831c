import { UnavailableError } from '../errors.ts';
import type { DeadLetter, DeadLetters } from './dead-letters.ts';
import type { FeedbackQueue } from './queue.ts';

/** A message to be sent once more. */
export interface Redriven {
  readonly messageId: string;
  readonly groupId: string;
  readonly body: string;
}

/**
 * Sends a message to the feedback queue again. Doing so twice is safe: within five minutes SQS drops the second by its deduplication
 * id, later the adapter knows the event.
 * @throws UnavailableError when the queue did not take it, and the queue's own errors
 */
export async function sendAgain({ messageId, groupId, body }: Redriven, queue: FeedbackQueue): Promise<void> {
  const { failed } = await queue.sendBatch([
    { id: '0', body, messageGroupId: groupId, messageDeduplicationId: `redrive-${messageId}` },
  ]);
  const [refusal] = failed;
  if (refusal !== undefined) {
    throw new UnavailableError(`message ${messageId} was not taken: ${refusal.code}: ${refusal.message}`);
  }
}

/**
 * Works through the dead-letter queue, deleting what `handle` is done with. Where it fails, the user's later messages stay behind it,
 * so that none overtakes another.
 * @param isWanted the rest is left as it is; must answer alike for all messages of a group
 * @returns how many were handled, and the first error of each group that stopped
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
    // The last first, so that each group is whole again when its first becomes visible.
    for (const letter of held.reverse()) await deadLetters.release(letter);
  }
  return { handled, errors: [...stopped.values()] };
}
