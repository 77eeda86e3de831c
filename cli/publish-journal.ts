import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const KEY_BYTES = 8;

/**
 * The interactions of a batch that the queue accepted, in a file on this machine. A repeated
 * `attune publish` skips and counts them. Without the file they are sent again, and the stack
 * recognises unchanged events by their ids.
 */
export class PublishJournal {
  readonly published: ReadonlySet<bigint>;
  readonly #path: string;
  #file: number | undefined;

  /**
   * @param names identify a batch: the queue, its creation time, the batch id
   * @param folder default: `attune/published` in the user's state folder (XDG Base Directory
   * Specification)
   */
  constructor(names: readonly string[], folder = stateFolder()) {
    this.#path = join(folder, createHash('sha256').update(names.join('\0')).digest('hex'));
    this.published = readKeys(this.#path);
  }

  /** Records the interactions of one accepted event. A read-only folder only costs the shortcut. */
  add(keys: readonly bigint[]): void {
    try {
      if (this.#file === undefined) {
        mkdirSync(dirname(this.#path), { recursive: true });
        this.#file = openSync(this.#path, 'a', 0o600);
      }
      writeSync(this.#file, new Uint8Array(BigUint64Array.from(keys).buffer));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function stateFolder(): string {
  return join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'attune', 'published');
}

function readKeys(path: string): Set<bigint> {
  let bytes: Uint8Array;
  try {
    // Copied, because BigUint64Array needs an aligned buffer.
    bytes = new Uint8Array(readFileSync(path));
  } catch {
    // Nothing was published yet, or the file is unreadable. In both cases everything is sent again.
    return new Set();
  }
  // A crash may have truncated the last key.
  return new Set(new BigUint64Array(bytes.buffer, 0, Math.floor(bytes.length / KEY_BYTES)));
}
