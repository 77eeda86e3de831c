import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { embeddingsWanted, sampleOfUpdate } from '../../../shared/population/embedding-sample.ts';

const random = createRandom('embedding sample');
const embeddings = Array.from({ length: 6 }, () =>
  Float32Array.from({ length: 16 }, () => 50 * random.normal()),
);

describe('the embeddings of an episode', () => {
  test('are carried by a few per cent of the updates, of all users and versions alike', () => {
    let sampled = 0;
    const users = new Set<number>();
    for (let user = 0; user < 200; user++) {
      for (let version = 1; version <= 50; version++) {
        if (sampleOfUpdate(userKey(`${user}`), version, embeddings).length === 0) continue;
        sampled += 1;
        users.add(user);
      }
    }
    expect(sampled / 10_000).toBeGreaterThan(0.07);
    expect(sampled / 10_000).toBeLessThan(0.09);
    expect(users.size).toBeGreaterThan(190);
  });

  test('are at most four different ones, of unit length in float16, and the same at every attempt', () => {
    const version = firstSampled();
    const sample = sampleOfUpdate('ada', version, embeddings);
    expect(sample).toHaveLength(4);
    expect(new Set(sample.map(String)).size).toBe(4);
    for (const embedding of sample) {
      expect(embedding).toBeInstanceOf(Float16Array);
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 2);
    }
    expect(sampleOfUpdate('ada', version, embeddings)).toEqual(sample);
    expect(sampleOfUpdate('ada', version, embeddings.slice(0, 2))).toHaveLength(2);
    expect(sampleOfUpdate('ada', version, [new Float32Array(16)])).toEqual([]);
  });

  function firstSampled(): number {
    let version = 1;
    while (sampleOfUpdate('ada', version, embeddings).length === 0) version += 1;
    return version;
  }
});

test('a basis of feedback is learned again from twice as many, up to 2,000; one of a catalogue never', () => {
  expect([600, 1_000, 1_001, 2_000, undefined].map(embeddingsWanted)).toEqual([
    1_200,
    2_000,
    undefined,
    undefined,
    undefined,
  ]);
});
