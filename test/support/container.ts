import type { BatchServices } from '../../functions/update-adapters/process-batch.ts';
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { EpisodeStore } from '../../shared/episodes/episode-store.ts';
import { InMemoryEpisodeStore } from '../../shared/episodes/in-memory-episode-store.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { ConflictError, UnavailableError } from '../../shared/errors.ts';
import { Quarantine } from '../../shared/feedback/quarantine.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { combine, type SharedLearning } from '../../shared/population/shared-learning.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import { MemoryObjects } from './memory-objects.ts';

export const SETTINGS: FunctionSettings = {
  bucket: 'bucket',
  table: 'table',
  embeddingDim: 16,
  embeddingModel: 'test-model',
  rank: 2,
  scalingFactor: 1,
  learner: 'bayesian',
  learningRate: 1,
  exploration: 0,
  episodeTtlDays: 90,
  transfer: 'on',
  holdout: 0,
};

/** The services that containers share, in memory. */
export function createWorld(items: readonly Float32Array[]) {
  const objects = new MemoryObjects();
  const episodes = new InMemoryEpisodeStore();
  const basis = basisFromEmbeddings(items, { rank: SETTINGS.rank, scalingFactor: 1, seed: 1 });
  const learning: SharedLearning = combine({ basis }, undefined);
  return { objects, episodes, learning, adapters: new AdapterStore(objects) };
}
export type World = ReturnType<typeof createWorld>;

/** Faults of one call of a service. */
export type Fault =
  | 'none'
  /** Refused before it had an effect. */
  | 'unavailable'
  /** It took effect, and the answer was lost. */
  | 'lost'
  /** As `lost`, but the SDK retried and met its own write. */
  | 'lost-retried'
  /** Another writer seems to be first. */
  | 'conflict'
  /** The container ends before or after the call. */
  | 'kill-before'
  | 'kill-after'
  /**
   * No answer until the function's time is up. The call takes effect never, or when the world is
   * thawed.
   */
  | 'hang'
  | 'freeze';

/** A call, such as `put adapters/` or `store episode`. */
export type Call = string;

const never = <T>() => new Promise<T>(() => {});

/** A warm container of the update function, whose calls fail as `decide` says. */
export class Container {
  readonly calls: Call[] = [];
  readonly services: Omit<BatchServices, 'signal'>;
  readonly failures: unknown[] = [];
  /** Resolves when the container has ended. */
  readonly killed: Promise<void>;
  /** Calls whose effect is still to come. */
  readonly frozen: (() => void)[] = [];
  conflicts = 0;
  pendings = 0;
  time = new AbortController();
  #dead = false;
  #kill = () => {};
  readonly #decide: (call: Call) => Fault;

  constructor(world: World, decide: (call: Call) => Fault = () => 'none', now: () => number = () => 1_000) {
    this.#decide = decide;
    this.killed = new Promise((resolve) => {
      this.#kill = resolve;
    });
    const objects = this.#objects(world.objects);
    const episodes = this.#episodes(world.episodes);
    this.services = {
      settings: SETTINGS,
      adapters: new AdapterStore(objects),
      cache: new AdapterCache(),
      episodes,
      pending: new PendingEpisodes(objects),
      quarantine: new Quarantine(objects),
      catalogue: new CatalogueReader(objects, SETTINGS, { maxAgeMs: -1 }),
      learning: async () => world.learning,
      freshLearning: async () => world.learning,
      now,
      backOff: async () => {},
      onConflict: () => {
        this.conflicts += 1;
      },
      onPending: () => {
        this.pendings += 1;
      },
      onFailure: (error) => this.failures.push(error),
    };
  }

  get dead(): boolean {
    return this.#dead;
  }

  #objects(objects: MemoryObjects): Objects {
    const prefixOf = (key: string) => key.slice(0, key.indexOf('/') + 1);
    return {
      get: (key, options) => this.#call(`get ${prefixOf(key)}`, () => objects.get(key, options)),
      put: (key, body, condition) =>
        this.#call(`put ${prefixOf(key)}`, () => objects.put(key, body, condition)),
      delete: (key) => this.#call(`delete ${prefixOf(key)}`, () => objects.delete(key)),
      list: (prefix) => objects.list(prefix),
      versions: (key) => objects.versions(key),
    };
  }

  #episodes(episodes: InMemoryEpisodeStore): EpisodeStore {
    return {
      store: (episode) => this.#call('store episode', () => episodes.store(episode)),
      after: (...given) => episodes.after(...given),
      recent: (...given) => episodes.recent(...given),
      newcomers: (...given) => episodes.newcomers(...given),
      ofUser: (userKey) => episodes.ofUser(userKey),
      forgetUser: (userKey) => episodes.forgetUser(userKey),
      recordPrior: (...given) => episodes.recordPrior(...given),
    };
  }

  async #call<T>(call: Call, run: () => Promise<T>): Promise<T> {
    if (this.#dead) return never();
    this.calls.push(call);
    const fault = this.#decide(call);
    switch (fault) {
      case 'none':
        return run();
      case 'unavailable':
        throw new UnavailableError(`${call}: 503`);
      case 'lost':
        await run();
        throw new UnavailableError(`${call}: no answer`);
      case 'lost-retried':
        await run();
        throw new ConflictError(`${call}: 412`);
      case 'conflict':
        throw new ConflictError(`${call}: 412`);
      case 'kill-before':
      case 'kill-after':
        if (fault === 'kill-after') await run().catch(() => {});
        this.#dead = true;
        this.#kill();
        return never();
      case 'hang':
        this.time.abort(new UnavailableError('the time is up'));
        return never();
      case 'freeze':
        this.time.abort(new UnavailableError('the time is up'));
        return new Promise((resolve, reject) => {
          this.frozen.push(() => run().then(resolve, reject));
        });
    }
  }
}
