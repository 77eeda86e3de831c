import { ConflictError } from '../errors.ts';
import { PREFIX } from '../runtime/names.ts';
import type { Objects } from './objects.ts';

/** A message that can never be applied, kept for its owner to look at and to send again. */
export interface QuarantinedMessage {
  readonly messageId: string;
  /** SHA-256 of the user id, hex, when the user could be read. */
  readonly userKey: string | undefined;
  /** Stable, for machines: the reason of an InvalidEventError. */
  readonly code: string;
  /** For people: the field, what was found and what was expected. */
  readonly reason: string;
  readonly messageGroupId: string | undefined;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly quarantinedAt: number;
  /** The message as it came, untouched. */
  readonly body: string;
}

/** `quarantine/<user key or unknown>/<message id>` in the bucket; written once, expiring by the bucket's lifecycle rules. */
export class Quarantine {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Putting the same message in again changes nothing. @throws UnavailableError */
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
}
