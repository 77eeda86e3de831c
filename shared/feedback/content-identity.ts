import { createHash } from 'node:crypto';

/** Characters of an event id after the batch id and a hyphen. */
const DIGEST_CHARACTERS = 22;

/**
 * Names interactions and events by their content, so that a repeated publish under the same batch
 * id is recognised: unchanged content keeps its id, changed content gets a new one.
 */
export class ContentIdentity {
  readonly #batchId: string;
  readonly #published: ReadonlySet<bigint>;
  /**
   * How often each content occurred, because the same interaction twice in a batch is two
   * interactions.
   */
  readonly #met = new Map<bigint, number>();

  /**
   * @param batchId names the whole input
   * @param published keys of interactions that the queue accepted earlier under this batch id
   */
  constructor(batchId: string, published: ReadonlySet<bigint> = new Set()) {
    this.#batchId = batchId;
    this.#published = published;
  }

  /**
   * The key of the next interaction of the input: 64 bits of a SHA-256 over its content.
   * @param parts user, time as given, embedding model and encoded interaction; no part holds a NUL
   */
  keyOf(parts: readonly string[]): bigint {
    const content = keyOf(parts.join('\0'));
    const earlier = this.#met.get(content) ?? 0;
    this.#met.set(content, earlier + 1);
    return earlier === 0 ? content : keyOf(`${content}\0${earlier}`);
  }

  isPublished(key: bigint): boolean {
    return this.#published.has(key);
  }

  /**
   * The id of the event of these interactions, in order. Its length depends on the batch id alone.
   */
  eventIdOf(keys: readonly bigint[]): string {
    const digest = createHash('sha256').update(BigUint64Array.from(keys)).digest('base64url');
    return `${this.#batchId}-${digest.slice(0, DIGEST_CHARACTERS)}`;
  }
}

function keyOf(text: string): bigint {
  return createHash('sha256').update(text, 'utf8').digest().readBigUInt64LE();
}
