import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elasticMatrix, elasticStep } from '../../../shared/lora/elastic-weights.ts';

const options = { rate: 0.5, strength: 4, unit: 1, consolidate: false };

describe('elasticStep', () => {
  it('minimises the linearised loss with the penalty: the documented closed form', () => {
    const matrix = {
      values: Float32Array.of(1, -2),
      anchor: Float32Array.of(0, 1),
      fisher: Float32Array.of(0.5, 0),
    };
    const next = elasticStep(matrix, Float64Array.of(2, 4), 0.5, options);
    // Clipped gradient (1, 2); ηλF = (1, 0).
    expect([...next.values]).toEqual([(1 - 0.5 + 0) / 2, -2 - 1]);
    expect(next.fisher[0]).toBeCloseTo(0.9 ** (1 / 20) * 0.5 + 1 / 20, 6);
    expect(next.fisher[1]).toBeCloseTo(4 / 20, 6);
    expect(next.anchor).toBe(matrix.anchor);
    expect([...matrix.values]).toEqual([1, -2]);
  });

  it('steps by the unit that the gradient is by', () => {
    const next = elasticStep(elasticMatrix(Float32Array.of(1)), Float64Array.of(1), 1, {
      ...options,
      unit: 0.25,
    });
    expect([...next.values]).toEqual([1 - 0.5 / 0.25]);
    expect(next.fisher[0]).toBeCloseTo(1 / 20, 6);
  });

  it('makes the new parameters the anchor when told to', () => {
    const next = elasticStep(elasticMatrix(Float32Array.of(1)), Float64Array.of(1), 1, {
      ...options,
      consolidate: true,
    });
    expect(next.anchor).toBe(next.values);
    expect([...next.values]).toEqual([0.5]);
  });

  it('draws towards the anchor, never past it and never towards zero', () => {
    const number = fc.double({ min: -5, max: 5, noNaN: true }).map(Math.fround);
    const positive = fc.double({ min: 0, max: 1e6, noNaN: true }).map(Math.fround);
    fc.assert(
      fc.property(number, number, positive, (value, anchor, fisher) => {
        const matrix = {
          values: Float32Array.of(value),
          anchor: Float32Array.of(anchor),
          fisher: Float32Array.of(fisher),
        };
        const next = elasticStep(matrix, new Float64Array(1), 1, options).values[0]!;
        expect(next).toBeGreaterThanOrEqual(Math.min(value, anchor) - 1e-6);
        expect(next).toBeLessThanOrEqual(Math.max(value, anchor) + 1e-6);
        if (fisher > 1) expect(Math.abs(next - anchor)).toBeLessThanOrEqual(Math.abs(value - anchor) / 2);
      }),
    );
  });

  it('starts with the given parameters as anchor and no Fisher information', () => {
    const values = Float32Array.of(1, 2);
    expect(elasticMatrix(values)).toEqual({ values, anchor: values, fisher: new Float32Array(2) });
  });
});
