import * as z from 'zod';
import { PREFIX } from '../config/names.ts';
import { ConflictError, CorruptObjectError } from '../errors.ts';
import type { Objects } from '../storage/objects.ts';
import {
  type Episode,
  packAttributions,
  packCorrections,
  packEmbedding,
  packResiduals,
  unpackAttributions,
  unpackCorrections,
  unpackEmbedding,
  unpackResiduals,
} from './episode.ts';

export type PendingEpisode =
  | { readonly key: string; readonly episode: Episode; readonly error?: undefined }
  | { readonly key: string; readonly error: CorruptObjectError; readonly episode?: undefined };

/**
 * Episodes that the ReasoningBank did not accept in time, in `pending/<user key>/<version>` until
 * consolidation stores them.
 */
export class PendingEpisodes {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /**
   * A repeated put of the same episode changes nothing.
   * @throws UnavailableError
   */
  async put(episode: Episode): Promise<void> {
    const key = keyOf(episode);
    const document = {
      ...episode,
      residuals: Buffer.from(packResiduals(episode.residuals)).toString('base64'),
      corrections:
        episode.corrections && Buffer.from(packCorrections(episode.corrections)).toString('base64'),
      attributions: episode.attributions && packAttributions(episode.attributions),
      embeddings: episode.embeddings?.map((embedding) =>
        Buffer.from(packEmbedding(embedding)).toString('base64'),
      ),
    };
    try {
      await this.#objects.put(key, Buffer.from(JSON.stringify(document), 'utf8'), { ifNoneMatch: true });
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }

  /**
   * The pending episodes of all users, or of one user, with the key for removing each; for an
   * unreadable object, the error.
   * @throws UnavailableError
   */
  async *list(userKey = ''): AsyncIterable<PendingEpisode> {
    for await (const key of this.keys(userKey)) {
      const found = await this.read(key);
      if (found !== undefined) yield found;
    }
  }

  /**
   * The keys of the objects that {@link list} reads.
   * @throws UnavailableError
   */
  async *keys(userKey = ''): AsyncIterable<string> {
    for await (const { key } of this.#objects.list(`${PREFIX.pending}${userKey}`)) yield key;
  }

  /**
   * @returns undefined when the object no longer exists
   * @throws UnavailableError
   */
  async read(key: string): Promise<PendingEpisode | undefined> {
    const found = await this.#objects.get(key);
    return typeof found === 'object' ? { key, ...decode(found.body, key) } : undefined;
  }

  async remove(key: string): Promise<void> {
    await this.#objects.delete(key);
  }
}

function keyOf({ userKey, version }: Pick<Episode, 'userKey' | 'version'>): string {
  return `${PREFIX.pending}${userKey}/${version}`;
}

const count = z.int().min(0);
const pendingEpisode = z.object({
  userKey: z.string().regex(/^[0-9a-f]{64}$/),
  version: z.int().min(1),
  cell: z.string().min(1),
  committedAt: count,
  context: z.object({ events: count, interactions: count, samplesSeen: count, skillsVersion: count }),
  outcome: z.object({
    rewards: count,
    meanReward: z.number(),
    loss: z.number(),
    lossWithoutAdapter: z.number(),
    lossOfWarmStart: z.number(),
    taste: z.object({ lossWithout: z.number(), meanSquare: z.number() }).optional(),
  }),
  hyperparameters: z.record(z.string(), z.number()).optional(),
  heldOut: z.literal(true).optional(),
  residuals: z.base64().transform((text) => unpackResiduals(Buffer.from(text, 'base64'))),
  corrections: z
    .base64()
    .transform((text) => unpackCorrections(Buffer.from(text, 'base64')))
    .optional(),
  attributions: z.string().transform(unpackAttributions).optional(),
  embeddings: z
    .array(z.base64().transform((text) => unpackEmbedding(Buffer.from(text, 'base64'))))
    .optional(),
});

function decode(body: Uint8Array, key: string): { episode: Episode } | { error: CorruptObjectError } {
  try {
    const episode = pendingEpisode.parse(JSON.parse(Buffer.from(body).toString('utf8')));
    if (keyOf(episode) !== key)
      throw new Error(`found an episode of ${keyOf(episode)}, expected one of ${key}`);
    return { episode };
  } catch (cause) {
    return {
      error: new CorruptObjectError(key, 'found unreadable content, expected a pending episode', { cause }),
    };
  }
}
