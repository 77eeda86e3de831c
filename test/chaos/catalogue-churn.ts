import { setImmediate as nextTurn } from 'node:timers/promises';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { type CatalogueItem, unitHalves } from '../../shared/catalogue/item.ts';
import { attributesOf, itemIdAt } from '../../shared/catalogue/shard.ts';
import { ConflictError, UnavailableError } from '../../shared/errors.ts';
import { createRandom, type Random } from '../../shared/lora/random.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import type { ChaosStack } from './chaos-stack.ts';

/** More than fit into one shard. */
const ITEMS = 4_400;
const WRITERS = 3;
/** Items that one update changes, spread over the shards. */
const GROUP = 12;
const FAULT_RATE = 0.08;

interface Churn {
  /** Versions that show an update in part, or an older one after a newer one. */
  readonly torn: number;
  readonly updates: number;
  readonly crashes: number;
  readonly versionsRead: number;
}

/**
 * Several writers change the catalogue at once and die before or after any request, while readers
 * read it. Every version must show each update as a whole, and no update may be lost.
 * @param isOver asked before each update
 */
export async function churnCatalogue(
  { objects, settings }: Pick<ChaosStack, 'objects' | 'settings'>,
  seed: number,
  isOver: () => boolean,
  now: () => number = Date.now,
): Promise<Churn> {
  const random = createRandom(`catalogue ${seed}`);
  const embeddings = Array.from({ length: ITEMS }, () =>
    unitHalves(Float32Array.from({ length: settings.embeddingDim }, () => random.normal())),
  );
  const item = (i: number, round: number): CatalogueItem => ({
    itemId: `${i % WRITERS}-${i}`,
    embedding: embeddings[i]!,
    attributes: i < WRITERS * GROUP ? { round } : {},
  });
  const options = { basis: null, now };
  await new CatalogueWriter(objects, settings, options).put(embeddings.map((_, i) => item(i, 0)));
  const counts = { torn: 0, updates: 0, crashes: 0, versionsRead: 0 };
  /** For each writer, its newest committed round. */
  const committed = new Array<number>(WRITERS).fill(0);

  const write = async (writer: number) => {
    for (let round = 1; round === 1 || !isOver(); round++) {
      const group = Array.from({ length: GROUP }, (_, n) => item(n * WRITERS + writer, round));
      for (let done = false; !done; ) {
        const faulty = dying(objects, random, isOver);
        try {
          await new CatalogueWriter(faulty, settings, options).update(group);
          done = true;
        } catch (error) {
          if (!(error instanceof UnavailableError || error instanceof ConflictError)) throw error;
          counts.crashes++;
        }
      }
      committed[writer] = round;
      counts.updates++;
    }
  };
  let writing = true;
  const read = async () => {
    const reader = new CatalogueReader(objects, settings, { maxAgeMs: 0 });
    const seen = new Array<number>(WRITERS).fill(0);
    for (let last = false; !last; ) {
      last = !writing;
      const atLeast = [...committed];
      const rounds = await roundsIn(reader);
      counts.versionsRead++;
      rounds.forEach((found, writer) => {
        const [round = -1, ...others] = [...found];
        if (others.length > 0 || round < seen[writer]! || round < atLeast[writer]!) counts.torn++;
        seen[writer] = round;
      });
      await nextTurn();
    }
  };
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer))).finally(() => {
    writing = false;
  });
  await Promise.all([writers, read()]);
  return counts;
}

/** For each writer, the rounds of its items in one version. */
async function roundsIn(reader: CatalogueReader): Promise<Set<number>[]> {
  const catalogue = (await reader.load(null))!;
  const rounds = Array.from({ length: WRITERS }, () => new Set<number>());
  for (const shard of catalogue.shards) {
    attributesOf(shard, shard.name).forEach(({ round }, row) => {
      if (typeof round === 'number') rounds[Number(itemIdAt(shard, row).split('-')[0])]!.add(round);
    });
  }
  return rounds;
}

/** Objects of a writer that dies at a request: before it has an effect, or after. */
function dying(objects: Objects, random: Random, isOver: () => boolean): Objects {
  let isDead = false;
  const happens = (at: string) => {
    isDead ||= !isOver() && random.next() < FAULT_RATE / 2;
    if (isDead) throw new UnavailableError(`the writer died ${at} a request`);
  };
  const request = async <T>(work: () => Promise<T>): Promise<T> => {
    // Without this pause, objects in memory would give readers no turn.
    await nextTurn();
    happens('before');
    const result = await work();
    happens('after');
    return result;
  };
  return {
    get: (...args) => request(() => objects.get(...args)),
    put: (...args) => request(() => objects.put(...args)),
    delete: (...args) => request(() => objects.delete(...args)),
    list: (...args) => objects.list(...args),
  } as Objects;
}
