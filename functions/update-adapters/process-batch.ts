import { orAborted } from '../../shared/abort.ts';
import type { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { userKey } from '../../shared/config/user-key.ts';
import {
  type FeedbackEvent,
  InvalidEventError,
  type ItemEmbeddings,
  parseFeedbackEvent,
  UnknownItemsError,
} from '../../shared/feedback/event.ts';
import type { Quarantine } from '../../shared/feedback/quarantine.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';
import { type UpdateUserServices, updateUser } from './update-user.ts';

/** A message of the event source mapping. */
export interface FeedbackMessage {
  readonly messageId: string;
  readonly groupId: string | undefined;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly body: string;
}

export interface BatchServices extends UpdateUserServices {
  readonly quarantine: Quarantine;
  /** Finds embeddings of items that events name by id alone. */
  readonly catalogue: Pick<CatalogueReader, 'embeddingOfItem'>;
  readonly learning: () => Promise<SharedLearning>;
  /** Aborted shortly before the function times out. */
  readonly signal: AbortSignal;
  /** @param eventIds of those messages whose event could be read */
  readonly onFailure: (error: unknown, messageIds: readonly string[], eventIds: readonly string[]) => void;
}

export interface BatchReport {
  /** Messages to deliver again: per user, the first that failed and all after it. */
  readonly failed: readonly string[];
  readonly quarantined: readonly { readonly messageId: string; readonly code: string }[];
  readonly updates: number;
  readonly applied: readonly AppliedEvent[];
  readonly duplicates: number;
  /** Dropped events of forgotten users. */
  readonly forgotten: number;
}

export interface AppliedEvent {
  readonly eventId: string;
  readonly interactions: number;
  /** From sending to the commit, milliseconds. */
  readonly delayMs: number;
}

interface Parsed {
  readonly message: FeedbackMessage;
  readonly event: FeedbackEvent;
}

/**
 * Applies a batch: users in parallel, each user's events in order and in one commit. A message that
 * can never be applied goes to quarantine, and the user's next message goes on. After a retryable
 * failure, all later messages of the same user fail too, to keep their order.
 */
export async function processBatch(
  messages: readonly FeedbackMessage[],
  services: BatchServices,
): Promise<BatchReport> {
  const groups = Map.groupBy(messages, ({ groupId, messageId }) => groupId ?? messageId);
  const reports = await Promise.all([...groups.values()].map((group) => processGroup(group, services)));
  return {
    failed: reports.flatMap(({ failed }) => failed),
    quarantined: reports.flatMap(({ quarantined }) => quarantined),
    updates: reports.reduce((sum, { updates }) => sum + updates, 0),
    applied: reports.flatMap(({ applied }) => applied),
    duplicates: reports.reduce((sum, { duplicates }) => sum + duplicates, 0),
    forgotten: reports.reduce((sum, { forgotten }) => sum + forgotten, 0),
  };
}

async function processGroup(
  messages: readonly FeedbackMessage[],
  services: BatchServices,
): Promise<BatchReport> {
  const quarantined: { messageId: string; code: string }[] = [];
  const accepted: Parsed[] = [];
  let failed: string[] = [];
  let forgotten = 0;
  try {
    for (const message of messages) {
      let read = readMessage(message, services.settings);
      if ('error' in read && read.error instanceof UnknownItemsError) {
        const { itemIds } = read.error;
        const known = await unlessAborted(services.signal, () => embeddingsOf(itemIds, services));
        read = readMessage(message, services.settings, known);
      }
      if ('event' in read) {
        accepted.push({ message, event: read.event });
        continue;
      }
      const kept = await unlessAborted(services.signal, () =>
        putIntoQuarantine(message, read.error, services),
      );
      if (kept) quarantined.push({ messageId: message.messageId, code: read.error.reason });
      else forgotten += 1;
    }
  } catch (error) {
    const done = accepted.length + quarantined.length + forgotten;
    failed = idsOf(messages.slice(done));
    services.onFailure(error, failed, []);
  }
  const report = { failed, quarantined, updates: 0, applied: [], duplicates: 0, forgotten };
  if (accepted.length === 0) return report;
  try {
    const user = userKey(accepted[0]!.event.userId);
    const events = accepted.map(({ event }) => event);
    const update = await unlessAborted(services.signal, async () =>
      updateUser(user, events, await services.learning(), services),
    );
    const effective = new Set(update.applied);
    return {
      ...report,
      updates: update.applied.length > 0 ? 1 : 0,
      applied: accepted
        .filter(({ event }) => effective.has(event))
        .map(({ message, event }) => ({
          eventId: event.eventId,
          interactions: event.interactions.length,
          delayMs: Math.max(0, services.now() - message.sentAt),
        })),
      duplicates: update.duplicates.length,
      forgotten: forgotten + update.forgotten.length,
    };
  } catch (error) {
    const messageIds = idsOf(accepted.map(({ message }) => message));
    const eventIds = accepted.map(({ event }) => event.eventId);
    services.onFailure(error, messageIds, eventIds);
    return { ...report, failed: [...messageIds, ...failed] };
  }
}

function idsOf(messages: readonly FeedbackMessage[]): string[] {
  return messages.map(({ messageId }) => messageId);
}

/** The event of a message, or the reason why it can never be applied. */
function readMessage(
  { body, groupId }: FeedbackMessage,
  settings: BatchServices['settings'],
  itemEmbeddings?: ItemEmbeddings,
): { event: FeedbackEvent } | { error: Refusal } {
  try {
    const event = parseFeedbackEvent(body, settings, itemEmbeddings);
    const expected = userKey(event.userId);
    if (groupId === expected) return { event };
    // SQS delivers different groups in parallel, so two groups of one user would have no order.
    const reason = `MessageGroupId: found ${groupId ?? 'nothing'}, expected ${expected}, the SHA-256 of the user id`;
    return { error: { reason: 'message-group', message: reason, userId: event.userId } };
  } catch (error) {
    if (!(error instanceof InvalidEventError)) throw error;
    return { error };
  }
}

/** The embeddings of items; items that the catalogue does not have are missing. */
async function embeddingsOf(
  itemIds: readonly string[],
  { catalogue }: BatchServices,
): Promise<ItemEmbeddings> {
  const known = new Map<string, Float32Array>();
  for (const itemId of itemIds) {
    const embedding = await catalogue.embeddingOfItem(itemId);
    if (embedding !== undefined) known.set(itemId, embedding);
  }
  return known;
}

interface Refusal {
  readonly reason: string;
  readonly message: string;
  readonly userId?: string | undefined;
}

/**
 * Puts a message into quarantine, unless its user is forgotten.
 * @returns false when the user is forgotten and the message is dropped
 */
async function putIntoQuarantine(
  message: FeedbackMessage,
  error: Refusal,
  { adapters, quarantine, now }: BatchServices,
): Promise<boolean> {
  const user = error.userId === undefined ? undefined : userKey(error.userId);
  if (user !== undefined) {
    const { tombstone } = await adapters.find(user);
    if (tombstone !== undefined && tombstone.expiresAt > now()) return false;
  }
  await quarantine.put({
    messageId: message.messageId,
    userKey: user,
    code: error.reason,
    reason: error.message,
    messageGroupId: message.groupId,
    sentAt: message.sentAt,
    quarantinedAt: now(),
    body: message.body,
  });
  return true;
}

/**
 * Starts work unless the signal is aborted. Started work goes on after an abort, and a redelivery
 * finds its result.
 * @throws the signal's reason when it is aborted before the work ends
 */
async function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return orAborted(work(), signal);
}
