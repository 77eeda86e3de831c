import { expect, test } from 'vitest';
import { CorruptObjectError } from '../../../shared/errors.ts';
import { TensorReader } from '../../../shared/storage/tensor-document.ts';

test.each([Float16Array, Float32Array, Float64Array])(
  'a tensor with a number that is not finite is damaged, whatever its type and place: %o',
  (type) => {
    const read = (numbers: readonly number[]) =>
      new TensorReader({ x: { shape: [numbers.length], values: new type(numbers) } }, 'key').read(
        'x',
        type as typeof Float64Array,
        [numbers.length],
      );
    const limits = type === Float16Array ? [65_504, -65_504, 6e-8] : [1e30, -1e30, 1e-40];
    const finite = [0, -0, 1, ...limits];
    expect([...read(finite)]).toEqual([...new type(finite)]);
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      for (const numbers of [
        [wrong, 1],
        [1, wrong],
      ])
        expect(() => read(numbers)).toThrow(CorruptObjectError);
  },
);
