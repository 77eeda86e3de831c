import { ConflictError, CorruptObjectError } from '../errors.ts';
import { type Episode, packResiduals, unpackResiduals } from '../reasoning-bank/episode.ts';
import { PREFIX } from '../runtime/names.ts';
import type { Objects } from './objects.ts';

/** Episodes that the ReasoningBank did not take in time: `pending/<user key>/<version>`, until consolidation stores them. */
export class PendingEpisodes {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Putting the same episode in again changes nothing. @throws UnavailableError */
  async put(episode: Episode): Promise<void> {
    const key = `${PREFIX.pending}${episode.userKey}/${episode.version}`;
    const document = {
      ...episode,
      residuals: Buffer.from(packResiduals(episode.residuals)).toString('base64'),
    };
    try {
      await this.#objects.put(key, Buffer.from(JSON.stringify(document), 'utf8'), { ifNoneMatch: true });
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }

  /** Every pending episode with the key to remove it by. @throws CorruptObjectError, UnavailableError */
  async *all(): AsyncIterable<{ key: string; episode: Episode }> {
    for await (const { key } of this.#objects.list(PREFIX.pending)) {
      const found = await this.#objects.get(key);
      if (found === undefined || found === 'not-modified') continue;
      yield { key, episode: decode(found.body, key) };
    }
  }

  async remove(key: string): Promise<void> {
    await this.#objects.delete(key);
  }
}

function decode(body: Uint8Array, key: string): Episode {
  try {
    const document = JSON.parse(Buffer.from(body).toString('utf8')) as Omit<Episode, 'residuals'> & {
      residuals: string;
    };
    return { ...document, residuals: unpackResiduals(Buffer.from(document.residuals, 'base64')) };
  } catch (cause) {
    throw new CorruptObjectError(key, 'not a pending episode', { cause });
  }
}
