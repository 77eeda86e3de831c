import type { Loaded } from './adapter-store.ts';

/**
 * Adapters of recently updated users in a warm container. The least recently used are dropped when
 * their bytes exceed the limit. A stale entry is harmless, because its commit fails on the ETag.
 */
export class AdapterCache {
  readonly #entries = new Map<string, { loaded: Loaded; bytes: number }>();
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
    const bytes = bytesOf(loaded);
    this.#entries.set(userKey, { loaded, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  delete(userKey: string): void {
    this.#bytes -= this.#entries.get(userKey)?.bytes ?? 0;
    this.#entries.delete(userKey);
  }
}

function bytesOf({ adapter }: Loaded): number {
  const { state, weights, recentEvents, recentItems } = adapter;
  const arrays: ArrayBufferView[] = [weights.b, recentEvents];
  if (recentItems !== undefined) arrays.push(...Object.values(recentItems));
  let buffered = 0;
  if (state.learner === 'sgd') {
    for (const { values, anchor, fisher } of [state.a, state.b]) arrays.push(values, anchor, fisher);
  } else {
    arrays.push(state.statistics.gram, state.statistics.moment);
    if (state.targets !== null) arrays.push(state.targets.stz);
    buffered = state.buffered.length * adapter.embeddingDim * 4;
  }
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 2_048 + buffered);
}
