import { expect, test } from 'vitest';
import { AdapterStore } from '../../../shared/adapters/adapter-store.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

test('the listing has only adapters, the largest first, and equal sizes in the order of their keys', async () => {
  const objects = new MemoryObjects();
  for (const [key, size] of [
    ['adapters/a', 10],
    ['adapters/b', 30],
    ['adapters/c', 10],
    ['adapters/d', 20],
    ['skills/e', 99],
  ] as const)
    await objects.put(key, new Uint8Array(size));
  const store = new AdapterStore(objects);
  expect(await store.largest(3)).toEqual(['b', 'd', 'a']);
  expect(await store.largest(9)).toEqual(['b', 'd', 'a', 'c']);
});
