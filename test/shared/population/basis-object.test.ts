import { describe, expect, it } from 'vitest';
import { CorruptObjectError } from '../../../shared/errors.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { carryOversTo } from '../../../shared/lora/carry-over.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { decodeBasis, encodeBasis } from '../../../shared/population/basis-object.ts';
import { decodeBasisSample, encodeBasisSample } from '../../../shared/population/basis-sample-object.ts';
import { withoutField } from '../../support/earlier-writer.ts';

const random = createRandom('basis object');
const items = Array.from({ length: 90 }, () => Float32Array.from({ length: 16 }, () => random.normal()));
const basisOf = (count: number) =>
  basisFromEmbeddings(items.slice(0, count), { rank: 2, scalingFactor: 1, seed: 1 });

describe('a basis stored in S3', () => {
  it('is read as written, with its sample size and the maps from earlier bases', () => {
    const [first, second, third] = [basisOf(10), basisOf(40), basisOf(90)];
    const one = carryOversTo(second, { basis: first }, items);
    const carryOvers = carryOversTo(third, { basis: second, carryOvers: one }, items);
    const stored = { basis: third, embeddingModel: 'm', learnedFrom: 90, carryOvers };
    expect(decodeBasis(encodeBasis(stored), 'basis/b')).toEqual(stored);
    const catalogue = { basis: first, embeddingModel: 'm' };
    expect(decodeBasis(encodeBasis(catalogue), 'basis/b')).toEqual({ ...catalogue, carryOvers: [] });
  });

  it('is read without maps when an earlier version wrote it', () => {
    const stored = { basis: basisOf(40), embeddingModel: 'm' };
    const before = withoutField(encodeBasis(stored), 'carryOvers');
    expect(decodeBasis(before, 'basis/b')).toEqual({ ...stored, carryOvers: [] });
  });

  it('is refused with a map that does not lead to it', () => {
    const [first, second] = [basisOf(40), basisOf(90)];
    const [carryOver] = carryOversTo(second, { basis: first }, items);
    for (const wrong of [
      { ...carryOver!, featureMap: carryOver!.featureMap.slice(1) },
      { ...carryOver!, latentMap: carryOver!.latentMap.slice(1) },
      { ...carryOver!, featureMap: carryOver!.featureMap.map((row) => row.map(() => Number.NaN)) },
    ]) {
      const bytes = encodeBasis({ basis: second, embeddingModel: 'm', carryOvers: [wrong] });
      expect(() => decodeBasis(bytes, 'basis/b')).toThrow(CorruptObjectError);
    }
  });
});

describe('the sample that a basis is learned from', () => {
  it('reads as it was written', () => {
    const embeddings = items.map((item) => Float16Array.from(item));
    const sample = { embeddings, watermarks: ['', '0000000000001#a#1'] };
    expect(decodeBasisSample(encodeBasisSample(sample), 'consolidation/b.sample')).toEqual(sample);
  });

  it('is refused when it is something else', () => {
    const bytes = encodeBasis({ basis: basisOf(90), embeddingModel: 'm' });
    expect(() => decodeBasisSample(bytes, 'consolidation/b.sample')).toThrow('expected attune-basis-sample');
  });
});
