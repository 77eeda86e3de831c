import { expect, test } from 'vitest';
import { parseItem } from '../../../shared/catalogue/item.ts';

const embedding = Array.from({ length: 16 }, (_, i) => i);
const parse = (item: object) => parseItem({ itemId: 'film', embedding, ...item }, 16, 'line 3');

test('an item is read with attributes, times and an embedding of unit length', () => {
  const attributes = { genre: ['a', 'b'], year: 1994, ok: true, title: 'Film' };
  const item = parse({
    attributes,
    availableFrom: '2026-01-31T12:00:00Z',
    availableUntil: '2026-01-31T12:00:00+01:00',
  });
  expect(item).toMatchObject({
    itemId: 'film',
    attributes,
    availableFrom: Date.UTC(2026, 0, 31, 12),
    availableUntil: Date.UTC(2026, 0, 31, 11),
  });
  expect(Math.hypot(...item.embedding)).toBeCloseTo(1, 3);
});

test('a zero vector stays zero', () => {
  expect([...parse({ embedding: Array(16).fill(0) }).embedding]).toEqual(Array(16).fill(0));
});

test('rounding to float16 changes a component of a unit vector by at most 1 in 2,000', () => {
  const { embedding: halves } = parse({});
  const norm = Math.hypot(...embedding);
  halves.forEach((value, i) => {
    expect(Math.abs(value - i / norm)).toBeLessThanOrEqual(i / norm / 2_000);
  });
});

test.each([
  [{ itemId: '' }, 'line 3, itemId: found ""'],
  [{ embedding: [1, 2] }, 'line 3, embedding: found 2 numbers, expected 16 numbers'],
  [{ embedding: undefined }, 'line 3, embedding: found nothing'],
  [{ colour: 'red' }, 'line 3: found the unknown field "colour"'],
  [{ attributes: [] }, 'line 3, attributes: found []'],
  [{ attributes: { a: null } }, 'line 3, attributes.a: found null'],
  [{ attributes: { a: [1] } }, 'line 3, attributes.a: found [1]'],
  [{ attributes: { a: Number.NaN } }, 'line 3, attributes.a: found NaN'],
  [{ attributes: { a: 'x'.repeat(257) } }, 'line 3, attributes.a: found "xxx'],
  [{ attributes: { ['n'.repeat(65)]: 1 } }, 'line 3, attributes: found the name'],
  [{ availableFrom: '2026' }, 'line 3, availableFrom: found "2026"'],
  [{ availableFrom: '2026-02-31T99:00:00Z' }, 'line 3, availableFrom: found'],
])('%j is refused with the field that is wrong', (item, message) => {
  expect(() => parse(item)).toThrow(message);
});

test('an attribute named __proto__ is an attribute like others', () => {
  const { attributes } = parse({ attributes: JSON.parse('{"__proto__":"x"}') });
  expect(Object.hasOwn(attributes, '__proto__')).toBe(true);
  expect(Object.getPrototypeOf(attributes)).toBe(Object.prototype);
});
