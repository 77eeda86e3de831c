import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { number } from '../../../shared/episodes/episode-item.ts';

describe('a number as DynamoDB stores it', () => {
  it('is 0 when its magnitude is below the range of DynamoDB', () => {
    expect(number(1e-200)).toEqual({ N: '0' });
    expect(number(-9.9e-131)).toEqual({ N: '0' });
    expect(number(1e-130)).toEqual({ N: '1e-130' });
  });

  it('is the nearest bound when its magnitude is above the range', () => {
    expect(number(1e200)).toEqual({ N: '9.9e+125' });
    expect(number(-Number.MAX_VALUE)).toEqual({ N: '-9.9e+125' });
  });

  it('always lies within the range, and keeps every value within it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const stored = Number(number(value).N);
        const magnitude = Math.abs(stored);
        expect(magnitude === 0 || (magnitude >= 1e-130 && magnitude < 1e126)).toBe(true);
        if (Math.abs(value) >= 1e-130 && Math.abs(value) <= 9.9e125) expect(stored).toBe(value);
      }),
    );
  });

  it('is refused when it is not finite', () => {
    expect(() => number(Number.NaN)).toThrow(RangeError);
  });
});
