import { PREFIX } from '../config/names.ts';
import { ConflictError } from '../errors.ts';
import type { Objects } from './objects.ts';

/**
 * Lets one run work at a time. It only saves work: runs write conditionally, so that two at once
 * are harmless. A run that dies leaves its lease behind until it expires.
 */
export class Lease {
  readonly #objects: Pick<Objects, 'get' | 'put'>;
  readonly #key: string;
  #etag: string | undefined;

  /** @param cell the cell that the run consolidates */
  constructor(objects: Pick<Objects, 'get' | 'put'>, cell: string) {
    this.#objects = objects;
    this.#key = `${PREFIX.consolidation}${cell}.lease`;
  }

  /**
   * @param now epoch milliseconds
   * @param durationMs time until the lease expires; the same for all runs
   * @param takeOver take the lease from its holder
   * @returns whether the lease was taken
   * @throws UnavailableError
   */
  async take(now: number, durationMs: number, takeOver: boolean): Promise<boolean> {
    const held = await this.#objects.get(this.#key);
    const current = held === undefined || held === 'not-modified' ? undefined : held;
    if (current !== undefined && !takeOver && isHeld(current.body, now, durationMs)) return false;
    try {
      const condition = current === undefined ? { ifNoneMatch: true as const } : { ifMatch: current.etag };
      this.#etag = (await this.#objects.put(this.#key, bodyOf(now + durationMs), condition)).etag;
      return true;
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  /**
   * Releases the lease, unless another run has taken it over.
   * @throws UnavailableError
   */
  async release(): Promise<void> {
    if (this.#etag === undefined) return;
    try {
      await this.#objects.put(this.#key, bodyOf(0), { ifMatch: this.#etag });
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
    this.#etag = undefined;
  }
}

function bodyOf(expiresAt: number): Uint8Array {
  return Buffer.from(JSON.stringify({ expiresAt }), 'utf8');
}

/**
 * What is not a lease, or is one for far longer than any run takes, holds no run up. Clocks may
 * differ by as long as a run takes.
 */
function isHeld(body: Uint8Array, now: number, durationMs: number): boolean {
  const match = /^\{"expiresAt":(\d+)\}$/.exec(Buffer.from(body).toString('utf8'));
  const left = match === null ? 0 : Number(match[1]) - now;
  return left > 0 && left <= 2 * durationMs;
}
