import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { CorruptObjectError, InvalidConfigurationError, InvalidInputError } from '../../../shared/errors.ts';
import {
  firstFault,
  parseConfiguration,
  parseInput,
  parseStored,
} from '../../../shared/validation/faults.ts';

const schema = z.strictObject({
  name: z.string({ error: 'a name' }).optional(),
  size: z.number().min(1).optional(),
  hash: z
    .string()
    .regex(/^[0-9a-f]+$/)
    .optional(),
  kind: z.enum(['a', 'b']).optional(),
  items: z
    .array(z.object({ reward: z.number().max(1) }))
    .max(2)
    .optional(),
});

const textOfError = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
};

describe('a fault', () => {
  test.each([
    [{ name: 3 }, 'name: found 3, expected a name'],
    [{ size: '3' }, 'size: found "3", expected number'],
    [{ size: 0 }, 'size: found 0, expected number to be >=1'],
    [{ hash: 'xyz' }, 'hash: found "xyz", expected text that matches /^[0-9a-f]+$/'],
    [{ kind: 'c' }, 'kind: found "c", expected one of "a"|"b"'],
    [{ items: [{ reward: 1 }, { reward: 2 }] }, 'items[1].reward: found 2, expected number to be <=1'],
    [{ items: [{}] }, 'items[0].reward: found nothing, expected number'],
    [
      { items: [{ reward: 1 }, { reward: 1 }, { reward: 1 }] },
      'items: found 3 items, expected array to have <=2 items',
    ],
    [{ mood: 1 }, 'input: found the unknown field "mood", expected only known fields'],
    ['text', 'input: found "text", expected object'],
  ])('of %j reads: %s', (input, expected) => {
    expect(textOfError(() => parseInput(schema, input))).toBe(expected);
    expect(() => parseInput(schema, input)).toThrow(InvalidInputError);
  });

  test('has the path of its field below a prefix', () => {
    const { error } = schema.safeParse({ items: [{ reward: 2 }] });
    expect(firstFault(error!, { items: [{ reward: 2 }] }, 'shelf[4]')).toMatchObject({
      field: 'shelf[4].items[0].reward',
      found: '2',
      value: 2,
    });
  });
});

test('a stored object with a fault is corrupt, and the error names the object and the field', () => {
  expect(() => parseStored(schema, { size: 0 }, 'adapters/ada')).toThrow(CorruptObjectError);
  expect(textOfError(() => parseStored(schema, { size: 0 }, 'adapters/ada'))).toBe(
    'adapters/ada: size: found 0, expected number to be >=1',
  );
});

test('the error of a configuration names every fault', () => {
  const run = () => parseConfiguration(schema, { size: 0, mood: 1, tone: 2 }, { source: 'cdk.json' });
  expect(run).toThrow(InvalidConfigurationError);
  expect(textOfError(run)).toBe(
    'cdk.json: size: found 0, expected number to be >=1; ' +
      'found the unknown field "mood", expected only known fields; ' +
      'found the unknown field "tone", expected only known fields',
  );
});

test('valid input is returned as the schema has it', () => {
  expect(parseInput(schema, { size: 2 })).toEqual({ size: 2 });
});
