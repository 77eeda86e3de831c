import { describe, expect, it } from 'vitest';
import { QueryCache } from '../../../shared/reasoning-bank/query-cache.ts';

function cacheAt(start = 0) {
  const clock = { now: start };
  let asked = 0;
  const cache = new QueryCache({ now: () => clock.now });
  const ask = (answer: unknown) => async () => {
    asked += 1;
    return answer;
  };
  return { cache, clock, ask, asked: () => asked };
}

describe('the query cache', () => {
  const bank = {};

  it('answers an equal query without a call, also for an empty answer', async () => {
    const { cache, ask, asked } = cacheAt();
    expect(await cache.answer(bank, ['q'], ask([]))).toEqual([]);
    expect(await cache.answer(bank, ['q'], ask(['other']))).toEqual([]);
    expect(asked()).toBe(1);
    expect(cache.stats()).toEqual({ size: 1, hits: 1, misses: 1, hitRate: 0.5 });
  });

  it('distinguishes queries by all their content', async () => {
    const { cache, ask } = cacheAt();
    await cache.answer(bank, ['q', { k: 5 }], ask('five'));
    expect(await cache.answer(bank, ['q', { k: 5, minReward: 0.7 }], ask('good'))).toBe('good');
    expect(await cache.answer(bank, ['q', { k: 6 }], ask('six'))).toBe('six');
  });

  it('never returns the answer of another bank', async () => {
    const { cache, ask } = cacheAt();
    await cache.answer(bank, ['q'], ask('old'));
    expect(await cache.answer({}, ['q'], ask('new'))).toBe('new');
    expect(await cache.answer(bank, ['q'], ask('other'))).toBe('old');
  });

  it('asks again after five minutes', async () => {
    const { cache, clock, ask } = cacheAt();
    await cache.answer(bank, ['q'], ask('old'));
    clock.now = 299_999;
    expect(await cache.answer(bank, ['q'], ask('new'))).toBe('old');
    clock.now = 300_000;
    expect(await cache.answer(bank, ['q'], ask('new'))).toBe('new');
  });

  it('keeps fifty answers, those used last', async () => {
    const { cache, ask } = cacheAt();
    for (let i = 0; i < 50; i++) await cache.answer(bank, [i], ask(i));
    await cache.answer(bank, [0], ask('again'));
    await cache.answer(bank, [50], ask(50));
    expect(cache.stats().size).toBe(50);
    expect(await cache.answer(bank, [0], ask('asked'))).toBe(0);
    expect(await cache.answer(bank, [1], ask('asked'))).toBe('asked');
  });

  it('stays small however many users there are', async () => {
    const { cache, ask } = cacheAt();
    for (let i = 0; i < 20_000; i++) await cache.answer(bank, [`user-${i}`], ask([]));
    expect(cache.stats().size).toBe(50);
  });

  it('asks once for concurrent equal queries', async () => {
    const { cache, ask, asked } = cacheAt();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => cache.answer(bank, ['q'], ask('one'))),
    );
    expect(new Set(answers)).toEqual(new Set(['one']));
    expect(asked()).toBe(1);
    expect(cache.stats()).toMatchObject({ hits: 19, misses: 1 });
  });

  it('does not keep failures', async () => {
    const { cache, ask } = cacheAt();
    const fail = () => Promise.reject(new Error('down'));
    await expect(cache.answer(bank, ['q'], fail)).rejects.toThrow('down');
    expect(await cache.answer(bank, ['q'], ask('up'))).toBe('up');
  });

  it('keeps no answer to a query from before a clear', async () => {
    const { cache, ask } = cacheAt();
    const { promise, resolve } = Promise.withResolvers<string>();
    const pending = cache.answer(bank, ['q'], () => promise);
    cache.clear();
    const newer = cache.answer(bank, ['q'], ask('new'));
    resolve('old');
    expect(await pending).toBe('old');
    expect(await newer).toBe('new');
    expect(await cache.answer(bank, ['q'], ask('newest'))).toBe('new');
    expect(cache.stats().size).toBe(1);
  });
});
