import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { regressionGradient } from '../../../shared/lora/gradient.ts';
import { range, times, toRows } from './dense.ts';
import { cases, createRandom } from './fixtures.ts';

describe('regressionGradient', () => {
  it('agrees with central finite differences of the mean squared error to 1e-6', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const [d, rank, count] = [1 + random.integer(6), 1 + random.integer(6), 1 + random.integer(5)];
        const normals = (length: number) => Float64Array.from({ length }, () => random.normal());
        const scale = 0.2 + random.next();
        const [a, b] = [normals(rank * d), normals(d * rank)];
        const batch = { count, items: normals(count * d), targets: normals(count * d) };
        const lossAt = () =>
          range(count).reduce((sum, n) => {
            const x = [...batch.items.subarray(n * d, (n + 1) * d)];
            const change = times(toRows(b, rank), times(toRows(a, d), x));
            return (
              sum +
              x.reduce((s, xi, i) => s + (xi + scale * change[i]! - batch.targets[n * d + i]!) ** 2, 0) /
                2 /
                count
            );
          }, 0);
        const gradient = { a: normals(rank * d), b: normals(d * rank) };
        const gaps = batch.items.map((value, i) => value - batch.targets[i]!);
        const loss = regressionGradient({ rank, scale, a, b }, { ...batch, gaps }, gradient);
        expect(Math.abs(loss - lossAt())).toBeLessThan(1e-10 * (1 + lossAt()));

        const largest = Math.max(...gradient.a.map(Math.abs), ...gradient.b.map(Math.abs), 1);
        for (const name of ['a', 'b'] as const) {
          const parameters = { a, b }[name];
          // One element of each matrix per case; all cases together cover all elements.
          const i = random.integer(parameters.length);
          const at = parameters[i]!;
          const step = 1e-4;
          const losses = [at + step, at - step].map((value) => {
            parameters[i] = value;
            return lossAt();
          });
          parameters[i] = at;
          const slope = (losses[0]! - losses[1]!) / (2 * step);
          expect(Math.abs(gradient[name][i]! - slope) / largest).toBeLessThan(1e-6);
        }
      }),
      cases(1000),
    );
  });

  it('is zero where the targets are met', () => {
    const parts = { rank: 1, scale: 2, a: Float64Array.of(1, 0), b: Float64Array.of(0, 3) };
    const gradient = { a: new Float64Array(2), b: new Float64Array(2) };
    const met = { count: 1, items: Float64Array.of(1, 1), gaps: Float64Array.of(0, -6) };
    expect(regressionGradient(parts, met, gradient)).toBe(0);
    expect(gradient).toEqual({ a: new Float64Array(2), b: new Float64Array(2) });
    // e = (0, 1), z = 2: ∂B = e·z = (0, 2), ∂A = s·Bᵀe·x = 6·(1, 1).
    expect(regressionGradient(parts, { ...met, gaps: Float64Array.of(0, -5) }, gradient)).toBe(0.5);
    expect(gradient).toEqual({ a: Float64Array.of(6, 6), b: Float64Array.of(0, 2) });
  });
});
