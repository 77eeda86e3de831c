import { expect, test } from 'vitest';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import { CATALOGUE_SETTINGS } from '../support/catalogue.ts';
import { MemoryObjects } from '../support/memory-objects.ts';
import { churnCatalogue } from './catalogue-churn.ts';
import type { ChaosStack } from './chaos-stack.ts';

const churn = (objects: MemoryObjects, rounds: number) => {
  let asked = 0;
  const running = { objects, settings: CATALOGUE_SETTINGS as unknown as FunctionSettings };
  const isOver = () => ++asked > rounds;
  // Objects in memory are of no time.
  return churnCatalogue(running as unknown as ChaosStack, 1, isOver, () => 0);
};

test('readers of a catalogue see every update as a whole while writers die during updates', async () => {
  const { torn, updates, crashes, versionsRead } = await churn(new MemoryObjects(), 700);
  expect(torn).toBe(0);
  expect(updates).toBeGreaterThanOrEqual(3);
  expect(crashes).toBeGreaterThan(3);
  expect(versionsRead).toBeGreaterThan(3);
});

test('the test notices updates lost by unconditional writes of the manifest', async () => {
  class Unconditional extends MemoryObjects {
    override put(key: string, body: Uint8Array) {
      return super.put(key, body);
    }
  }
  expect((await churn(new Unconditional(), 700)).torn).toBeGreaterThan(0);
});
