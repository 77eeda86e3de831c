import { PAGE, type WasmMemory } from '../wasm-module.ts';

/** Parts begin at multiples of this. */
const UNIT = 1_024;

interface Place {
  readonly start: number;
  readonly bytes: number;
}

/**
 * Allocates parts of a WebAssembly memory, which can only grow. It reuses the part of an array that
 * nothing references any more.
 */
export class KernelMemory {
  readonly #memory: WasmMemory;
  /** Free parts by address; adjacent ones are merged. */
  #free: Place[];
  readonly #released = new FinalizationRegistry<Place>((place) => this.#release(place));

  /** @param from first byte to allocate */
  constructor(memory: WasmMemory, from: number) {
    this.#memory = memory;
    this.#free = [{ start: from, bytes: memory.buffer.byteLength - from }];
  }

  get buffer(): SharedArrayBuffer {
    return this.#memory.buffer;
  }

  /** @returns undefined when the memory has reached its limit */
  allocate(bytes: number): Uint8Array | undefined {
    const wanted = UNIT * Math.ceil(bytes / UNIT);
    let index = this.#free.findIndex((place) => place.bytes >= wanted);
    if (index === -1) {
      const pages = Math.ceil(wanted / PAGE);
      try {
        this.#release({ start: this.#memory.grow(pages) * PAGE, bytes: pages * PAGE });
      } catch {
        return undefined;
      }
      index = this.#free.findIndex((place) => place.bytes >= wanted);
    }
    const { start, bytes: found } = this.#free[index]!;
    this.#free.splice(
      index,
      1,
      ...(found > wanted ? [{ start: start + wanted, bytes: found - wanted }] : []),
    );
    const array = new Uint8Array(this.#memory.buffer, start, bytes);
    this.#released.register(array, { start, bytes: wanted });
    return array;
  }

  #release(place: Place): void {
    const merged: Place[] = [];
    for (const next of [...this.#free, place].sort((a, b) => a.start - b.start)) {
      const last = merged.at(-1);
      if (last !== undefined && last.start + last.bytes === next.start)
        merged[merged.length - 1] = { start: last.start, bytes: last.bytes + next.bytes };
      else merged.push(next);
    }
    this.#free = merged;
  }
}
