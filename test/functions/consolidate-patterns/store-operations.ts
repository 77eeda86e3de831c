import type { ConsolidationServices } from '../../../functions/consolidate-patterns/consolidate.ts';
import { UnavailableError } from '../../../shared/errors.ts';
import type { Objects } from '../../../shared/storage/objects.ts';

/** Stands between a run and one operation of its stores. */
export type Around = <T>(operation: string, run: () => Promise<T>) => Promise<T>;

type Stores = { objects: Objects; episodes: ConsolidationServices['episodes'] };

/**
 * Stores whose operations all go through `around`; one page of a listing or query counts as one
 * operation.
 */
export function storesThrough({ objects, episodes }: Stores, around: Around): Stores {
  const prefixOf = (key: string) => key.slice(0, key.indexOf('/') + 1);
  const whole = <T>(operation: string, read: () => AsyncIterable<T>) =>
    async function* (): AsyncGenerator<T, void, undefined> {
      yield* await around(operation, () => Array.fromAsync(read()));
    };
  return {
    objects: {
      get: (key, options) => around(`get ${prefixOf(key)}`, () => objects.get(key, options)),
      put: (key, body, condition) => around(`put ${prefixOf(key)}`, () => objects.put(key, body, condition)),
      delete: (key) => around(`delete ${prefixOf(key)}`, () => objects.delete(key)),
      list: (prefix) => whole(`list ${prefix}`, () => objects.list(prefix))(),
      versions: (key) => whole(`list versions of ${prefixOf(key)}`, () => objects.versions(key))(),
    },
    episodes: {
      store: (episode) => around('store an episode', () => episodes.store(episode)),
      after: (...given) => whole('query episodes', () => episodes.after(...given))(),
      recent: (...given) => around('query recent episodes', () => episodes.recent(...given)),
      newest: (...given) => around('query the newest episodes', () => episodes.newest(...given)),
      strategy: (...given) => around('read the strategy', () => episodes.strategy(...given)),
      recordStrategy: (...given) => around('record a strategy', () => episodes.recordStrategy(...given)),
      newcomers: (...given) => around('query newcomers', () => episodes.newcomers(...given)),
      ofUser: (key) => whole('query a user', () => episodes.ofUser(key))(),
      forgetUser: (key) => around('forget a user', () => episodes.forgetUser(key)),
      recordPrior: (...given) => around('record the prior', () => episodes.recordPrior(...given)),
    },
  };
}

export const INTERRUPTIONS = [
  /** Refused before it takes effect; later operations work. */
  'refused',
  /** It takes effect, and the answer is lost. */
  'answer lost',
  /** The answer is lost, but the SDK retries and meets its own write. */
  'answer lost, tried again',
  /** The process ends before or after it. */
  'killed before',
  'killed after',
] as const;
export type Interruption = (typeof INTERRUPTIONS)[number];

/** Interrupts the operation with the given number, counted from 0. */
export function interruptAt(number: number, how: Interruption) {
  const never = <T>() => new Promise<T>(() => {});
  let operations = 0;
  let kill = () => {};
  const killed = new Promise<'killed'>((resolve) => {
    kill = () => resolve('killed');
  });
  let dead = false;
  const around: Around = async (operation, run) => {
    if (dead) return never();
    if (operations++ !== number) return run();
    switch (how) {
      case 'refused':
        throw new UnavailableError(`${operation}: 503`);
      case 'answer lost':
        await run();
        throw new UnavailableError(`${operation}: no answer`);
      case 'answer lost, tried again':
        return run().then(() => run());
      case 'killed before':
      case 'killed after':
        if (how === 'killed after') await run();
        dead = true;
        kill();
        return never();
    }
  };
  return { around, killed, operations: () => operations };
}
