import * as z from 'zod';
import { PREFIX } from '../config/names.ts';
import { ConflictError, CorruptObjectError } from '../errors.ts';
import type { Objects } from '../storage/objects.ts';
import { parseStored } from '../validation/faults.ts';

/** A message that can never be applied, kept for an operator to inspect and to send again. */
export interface QuarantinedMessage {
  readonly messageId: string;
  /** SHA-256 of the user id, hex, when the user could be read. */
  readonly userKey: string | undefined;
  /** Stable, for programs: the reason of an InvalidEventError. */
  readonly code: string;
  /** For people: the field, what was found and what was expected. */
  readonly reason: string;
  readonly messageGroupId: string | undefined;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly quarantinedAt: number;
  /** The unchanged message. */
  readonly body: string;
}

/** A message in quarantine with its key; for a malformed object, the error and its bytes. */
export type QuarantinedEntry =
  | {
      readonly key: string;
      readonly message: QuarantinedMessage;
      readonly error?: undefined;
      readonly body?: undefined;
    }
  | {
      readonly key: string;
      readonly error: CorruptObjectError;
      readonly body: Uint8Array;
      readonly message?: undefined;
    };

/**
 * `quarantine/<user key or unknown>/<message id>` in the bucket. Written once; the bucket's
 * lifecycle rules expire it.
 */
export class Quarantine {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /**
   * A repeated put of the same message changes nothing.
   * @throws UnavailableError
   */
  async put(message: QuarantinedMessage): Promise<'put' | 'known'> {
    const key = `${PREFIX.quarantine}${message.userKey ?? 'unknown'}/${message.messageId}`;
    try {
      await this.#objects.put(key, Buffer.from(JSON.stringify(message), 'utf8'), { ifNoneMatch: true });
      return 'put';
    } catch (error) {
      if (error instanceof ConflictError) return 'known';
      throw error;
    }
  }

  /**
   * Every message in quarantine, by key; with a user key only that user's.
   * @throws UnavailableError
   */
  async *all(userKey?: string): AsyncGenerator<QuarantinedEntry, void, undefined> {
    const prefix = userKey === undefined ? PREFIX.quarantine : `${PREFIX.quarantine}${userKey}/`;
    for await (const { key } of this.#objects.list(prefix)) {
      const found = await this.#objects.get(key);
      if (found === undefined || found === 'not-modified') continue;
      yield entryOf(found.body, key);
    }
  }

  /**
   * A missing message counts as removed.
   * @throws UnavailableError
   */
  async remove(key: string): Promise<void> {
    await this.#objects.delete(key);
  }
}

const document = z.object({
  messageId: z.string(),
  userKey: z.string().optional(),
  code: z.string(),
  reason: z.string(),
  messageGroupId: z.string().optional(),
  sentAt: z.number(),
  quarantinedAt: z.number(),
  body: z.string(),
});

function entryOf(body: Uint8Array, key: string): QuarantinedEntry {
  try {
    return { key, message: decode(body, key) };
  } catch (error) {
    if (!(error instanceof CorruptObjectError)) throw error;
    return { key, error, body };
  }
}

function decode(body: Uint8Array, key: string): QuarantinedMessage {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch (cause) {
    throw new CorruptObjectError(key, 'found no JSON, expected a quarantined message', { cause });
  }
  const { userKey, messageGroupId, ...message } = parseStored(document, content, key);
  const owner = userKey ?? 'unknown';
  if (!key.startsWith(`${PREFIX.quarantine}${owner}/`))
    throw new CorruptObjectError(key, `found a message of ${owner}, expected one of the key`);
  return { ...message, userKey, messageGroupId };
}
