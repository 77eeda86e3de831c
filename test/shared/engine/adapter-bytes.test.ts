import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { UserLoRAAdapter } from '../../../shared/engine/adapter.ts';
import { decodeUserAdapter, encodeUserAdapter } from '../../../shared/engine/adapter-bytes.ts';
import { createLoRAPersonalizationEngine } from '../../../shared/engine/engine.ts';
import { CorruptObjectError } from '../../../shared/errors.ts';
import { createRandom, embeddingOf, feedbackOf, type Random } from './fixtures.ts';

const engines = [
  createLoRAPersonalizationEngine({ embeddingDim: 16, rank: 2 }),
  createLoRAPersonalizationEngine({ embeddingDim: 16, rank: 3, learner: 'sgd', scalingFactor: 0.7 }),
  createLoRAPersonalizationEngine({ embeddingDim: 17, rank: 1, learner: 'sgd', useEWC: false }),
];

async function trained(random: Random): Promise<UserLoRAAdapter> {
  const engine = engines[random.integer(engines.length)]!;
  const d = engine.getConfig().embeddingDim;
  let adapter = engine.createAdapter(`user ${random.integer(1000)} é 用户`);
  for (let n = random.integer(4); n > 0; n--) {
    const feedback = feedbackOf(random, 1 + random.integer(3), d);
    if (random.next() < 0.3) feedback[0]!.targetEmbedding = embeddingOf(random, d);
    adapter = await engine.updateAdapter(adapter, feedback);
  }
  return adapter;
}

/**
 * Everything that serializing keeps: an adapter of the engine also gets the fields of a stored
 * object.
 */
const kept = ({ stored: _, ...adapter }: UserLoRAAdapter) => adapter;

describe('serializeAdapter and deserializeAdapter', () => {
  it('restore the adapter, and the same bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const adapter = await trained(createRandom(seed));
        const bytes = encodeUserAdapter(adapter);
        const back = decodeUserAdapter(bytes);
        expect(kept(back)).toEqual(kept(adapter));
        expect(Buffer.compare(encodeUserAdapter(back), bytes)).toBe(0);
        // At any alignment.
        const shifted = new Uint8Array(bytes.length + 3).subarray(3);
        shifted.set(bytes);
        expect(kept(decodeUserAdapter(shifted))).toEqual(kept(adapter));
      }),
      { numRuns: 1000 },
    );
  });

  it('report any other bytes as a corrupt object, never as another adapter', async () => {
    const adapter = await trained(createRandom('mutated'));
    const bytes = encodeUserAdapter(adapter);
    fc.assert(
      fc.property(
        fc.oneof(
          fc
            .record({ at: fc.nat(bytes.length - 1), xor: fc.integer({ min: 1, max: 255 }) })
            .map(({ at, xor }) => {
              const mutated = bytes.slice();
              mutated[at]! ^= xor;
              return mutated;
            }),
          fc.nat(bytes.length - 1).map((length) => bytes.slice(0, length)),
          fc.uint8Array({ minLength: 1, maxLength: 64 }).map((more) => Uint8Array.from([...bytes, ...more])),
          fc.uint8Array({ maxLength: 200 }),
        ),
        (mutated) => {
          expect(() => decodeUserAdapter(mutated)).toThrow(CorruptObjectError);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('continue learning after a round trip as without one', async () => {
    const engine = engines[0]!;
    const random = createRandom('on');
    const adapter = await engine.updateAdapter(engine.createAdapter('user'), feedbackOf(random, 3, 16));
    const feedback = feedbackOf(random, 3, 16);
    const straight = await engine.updateAdapter(adapter, feedback);
    const around = await engine.updateAdapter(
      engine.deserializeAdapter(engine.serializeAdapter(adapter)),
      feedback,
    );
    expect(around.state).toEqual(straight.state);
    expect(around.matrixB).toEqual(straight.matrixB);
  });

  it('keep merged adapters, and those that were made by hand', () => {
    const engine = engines[0]!;
    const merged = engine.mergeAdapters([engine.createAdapter('a'), engine.createAdapter('b')]);
    const back = engine.deserializeAdapter(engine.serializeAdapter(merged));
    expect(back).toMatchObject({
      userId: 'merged',
      matrixA: merged.matrixA,
      matrixB: merged.matrixB,
      state: { learner: 'sgd' },
    });
  });
});
