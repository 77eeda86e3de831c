import type { Loaded } from './adapter-store.ts';

interface Entry {
  readonly loaded: Loaded;
  /** Bytes of the value without its buffers. */
  readonly bytes: number;
  readonly buffers: ReadonlySet<ArrayBufferLike>;
}

/**
 * Adapters of recently updated users in a warm instance. The least recently used are dropped when
 * their bytes exceed the limit. A stale entry is harmless, because its commit fails on the ETag.
 */
export class AdapterCache {
  readonly #entries = new Map<string, Entry>();
  /** How many entries hold a buffer. Several can share one, for example that of the basis. */
  readonly #holders = new Map<ArrayBufferLike, number>();
  readonly #maxBytes: number;
  #bytes = 0;

  /** @param maxBytes default 64 MiB */
  constructor(maxBytes = 64 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  get(userKey: string): Loaded | undefined {
    const entry = this.#entries.get(userKey);
    if (entry === undefined) return undefined;
    this.#entries.delete(userKey);
    this.#entries.set(userKey, entry);
    return entry.loaded;
  }

  set(userKey: string, loaded: Loaded): void {
    this.delete(userKey);
    const buffers = new Set<ArrayBufferLike>();
    const bytes = weigh(loaded, buffers);
    this.#entries.set(userKey, { loaded, bytes, buffers });
    this.#bytes += bytes;
    for (const buffer of buffers) {
      const holders = this.#holders.get(buffer) ?? 0;
      if (holders === 0) this.#bytes += buffer.byteLength;
      this.#holders.set(buffer, holders + 1);
    }
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(userKey: string): void {
    const entry = this.#entries.get(userKey);
    if (entry === undefined) return;
    this.#entries.delete(userKey);
    this.#bytes -= entry.bytes;
    for (const buffer of entry.buffers) {
      const holders = this.#holders.get(buffer)! - 1;
      if (holders > 0) this.#holders.set(buffer, holders);
      else {
        this.#holders.delete(buffer);
        this.#bytes -= buffer.byteLength;
      }
    }
  }
}

/** Bytes that V8 needs for a value beside its buffers; measured and rounded up. */
const COST = { view: 240, bigint: 32, number: 16, object: 40, property: 16, character: 2 } as const;

/**
 * Bytes of a value in memory, without the buffers of its arrays.
 * @param buffers receives these; views of one buffer, such as the file of an adapter, keep all of
 * it in memory
 */
function weigh(value: unknown, buffers: Set<ArrayBufferLike>): number {
  if (typeof value === 'bigint') return COST.bigint;
  if (typeof value === 'number') return COST.number;
  if (typeof value === 'string') return COST.object + COST.character * value.length;
  if (typeof value !== 'object' || value === null) return 0;
  if (ArrayBuffer.isView(value)) {
    buffers.add(value.buffer);
    return COST.view;
  }
  const parts = Object.values(value);
  return parts.reduce((sum: number, part) => sum + COST.property + weigh(part, buffers), COST.object);
}
