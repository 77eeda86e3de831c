import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeFeedbackEvent,
  type FeedbackEvent,
  type FeedbackEventInput,
  InvalidEventError,
  parseFeedbackEvent,
  UnknownItemsError,
} from '../../../shared/feedback/event.ts';
import { DEPLOYMENT, DIM, embedding, event, id } from './arbitraries.ts';

const numbers = Array.from({ length: DIM }, (_, i) => i / DIM);
const interaction = { itemId: 'item', embedding: numbers, reward: 0.5 };
const valid = {
  schemaVersion: 1,
  eventId: 'event',
  userId: 'user',
  occurredAt: '2026-01-31T12:00:00+01:00',
  embeddingModel: 'default',
  interactions: [interaction, interaction],
};

const parse = (value: unknown) =>
  parseFeedbackEvent(typeof value === 'string' ? value : JSON.stringify(value), DEPLOYMENT);

function refusal(value: unknown): InvalidEventError {
  try {
    parse(value);
  } catch (error) {
    if (error instanceof InvalidEventError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** What parsing is to make of an event. */
function meaning(input: FeedbackEventInput): FeedbackEvent {
  const { embeddingModel, ...header } = input;
  return {
    schemaVersion: 1,
    ...header,
    ...(embeddingModel === undefined ? {} : { embeddingModel }),
    interactions: input.interactions.map(
      ({ reward, watch, target, itemId, recommendationId, embedding: vector }) => ({
        ...(itemId === undefined ? {} : { itemId }),
        ...(recommendationId === undefined ? {} : { recommendationId }),
        embedding: Float32Array.from(vector as Float32Array),
        ...(target === undefined
          ? {
              reward: watch
                ? Math.min(
                    1,
                    0.5 * watch.completionRate +
                      (0.3 * (watch.rating ?? 0)) / 5 +
                      (watch.isRewatch ? 0.2 : 0),
                  )
                : reward! + 0,
              ...(watch === undefined ? {} : { watched: true as const }),
            }
          : { target: Float32Array.from(target as Float32Array) }),
      }),
    ),
  };
}

describe('a feedback event', () => {
  test('has the same meaning before and after the queue', () => {
    fc.assert(
      fc.property(event, (input) => {
        expect(parse(encodeFeedbackEvent(input, DIM))).toStrictEqual(meaning(input));
      }),
    );
  });

  test('passes through SQS with any Unicode in its ids', () => {
    const body = encodeFeedbackEvent({ ...valid, userId: '\ufffe\uffff', eventId: '😀' });
    expect(body).not.toMatch(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u);
    expect(parse(body)).toMatchObject({ userId: '\ufffe\uffff', eventId: '😀' });
  });

  test.each([
    [{ completionRate: 1, rating: 5, isRewatch: true }, 1],
    [{ completionRate: 0.5 }, 0.25],
    [{ completionRate: 0.5, rating: 4 }, 0.49],
    [{ completionRate: 0, isRewatch: true }, 0.2],
  ])('with watch signals %j has a reward of %d', (watch, reward) => {
    const [first] = parse({ ...valid, interactions: [{ embedding: numbers, watch }] }).interactions;
    expect(first?.reward).toBeCloseTo(reward, 12);
    expect(first?.target).toBeUndefined();
  });

  test('may give a target instead of a reward', () => {
    const [first] = parse({ ...valid, interactions: [{ embedding: numbers, target: numbers }] }).interactions;
    expect(first).toStrictEqual({
      embedding: Float32Array.from(numbers),
      target: Float32Array.from(numbers),
    });
  });

  test('cannot have a target far longer than its item', () => {
    const target = numbers.map((value) => 70_000 * value);
    const far = { ...valid, interactions: [{ embedding: numbers, target }] };
    expect(refusal(far)).toMatchObject({ field: 'interactions[0].target', reason: 'limit', userId: 'user' });
    expect(() => encodeFeedbackEvent(far, DIM)).toThrow(
      'interactions[0].target: found a vector 7.0e+4 times as long',
    );
    const zero = { embedding: numbers.map(() => 0), target };
    expect(parse({ ...valid, interactions: [zero] }).interactions).toHaveLength(1);
  });

  test('with a reward of -0 has a reward of 0', () => {
    const text = JSON.stringify(valid).replaceAll('"reward":0.5', '"reward":-0');
    expect(Object.is(parse(text).interactions[0]?.reward, 0)).toBe(true);
  });

  test('may name an item of the catalogue without its embedding', () => {
    const byId = [
      { itemId: 'a', reward: 1 },
      interaction,
      { itemId: 'b', reward: 0 },
      { itemId: 'a', reward: 1 },
    ];
    const body = encodeFeedbackEvent({ ...valid, interactions: byId }, DIM);
    expect(Buffer.byteLength(JSON.stringify(JSON.parse(body).interactions[0]))).toBe(25);
    const known = new Map([
      ['a', Float32Array.from(numbers)],
      ['b', new Float32Array(DIM)],
    ]);
    const { interactions } = parseFeedbackEvent(body, DEPLOYMENT, known);
    expect(interactions[0]).toEqual({ itemId: 'a', embedding: Float32Array.from(numbers), reward: 1 });
    expect(interactions[2]).toEqual({ itemId: 'b', embedding: new Float32Array(DIM), reward: 0 });
    const read = () => parseFeedbackEvent(body, DEPLOYMENT, new Map([['a', Float32Array.from(numbers)]]));
    expect(read).toThrow(UnknownItemsError);
    expect(read).toThrow(
      'interactions[2].itemId: found "b", expected an embedding, or the id of an item of the catalogue',
    );
    const error = refusal(JSON.parse(body)) as UnknownItemsError;
    expect([error.reason, error.userId, error.itemIds]).toEqual(['unknown-item', 'user', ['a', 'b']]);
  });

  test('may have 100 interactions and 256 KiB, but no more', () => {
    const interactions = new Array(100).fill({ embedding: numbers, reward: 1 });
    expect(parse({ ...valid, interactions }).interactions).toHaveLength(100);
    expect(refusal({ ...valid, interactions: [...interactions, interaction] })).toMatchObject({
      field: 'interactions',
      reason: 'limit',
    });
    const body = JSON.stringify(valid);
    expect(parse(body.padEnd(256 * 1024)).eventId).toBe('event');
    expect(refusal(body.padEnd(256 * 1024 + 1)).reason).toBe('too-large');
    expect(refusal(`"${'é'.repeat(128 * 1024)}"`).reason).toBe('too-large');
  });

  test('counts the characters of an id as Unicode code points', () => {
    expect(parse({ ...valid, userId: '😀'.repeat(128) }).userId).toHaveLength(256);
    expect(refusal({ ...valid, userId: '😀'.repeat(129) })).toMatchObject({
      field: 'userId',
      reason: 'limit',
    });
  });
});

describe('a message is refused', () => {
  const withFirst = (changes: object) => ({ ...valid, interactions: [{ ...interaction, ...changes }] });
  const withNumber = (number: string) =>
    JSON.stringify(valid).replace('"embedding":[0,', `"embedding":[${number},`);

  test.each([
    ['that is not JSON', 'hello', 'not-json', ''],
    ['with a NaN', withNumber('NaN'), 'not-json', ''],
    ['with a number beyond float64', withNumber('1e999'), 'not-finite', 'interactions[0].embedding[0]'],
    ['with a number beyond float32', withNumber('-1e39'), 'not-finite', 'interactions[0].embedding[0]'],
    [
      'with an infinite reward',
      JSON.stringify(valid).replace('"reward":0.5', '"reward":1e999'),
      'not-finite',
      'interactions[0].reward',
    ],
    ['with null in an embedding', withNumber('null'), 'schema', 'interactions[0].embedding[0]'],
    ['that is an array', [valid], 'schema', ''],
    ['of another schema version', { ...valid, schemaVersion: 2 }, 'schema', 'schemaVersion'],
    ['with an empty user id', { ...valid, userId: '' }, 'limit', 'userId'],
    ['with a control character in an id', { ...valid, eventId: 'a\u0000b' }, 'schema', 'eventId'],
    [
      'with half a surrogate pair in an id',
      withFirst({ itemId: '\ud83d' }),
      'schema',
      'interactions[0].itemId',
    ],
    ['with a local time', { ...valid, occurredAt: '2026-01-31T12:00:00' }, 'schema', 'occurredAt'],
    [
      'with a day that does not exist',
      { ...valid, occurredAt: '2026-02-30T12:00:00Z' },
      'schema',
      'occurredAt',
    ],
    ['of another model', { ...valid, embeddingModel: 'other' }, 'embedding-model', 'embeddingModel'],
    ['without interactions', { ...valid, interactions: [] }, 'limit', 'interactions'],
    ['with two kinds of feedback', withFirst({ target: numbers }), 'schema', 'interactions[0]'],
    ['without feedback', withFirst({ reward: undefined }), 'schema', 'interactions[0]'],
    ['with a reward of 1.5', withFirst({ reward: 1.5 }), 'limit', 'interactions[0].reward'],
    ['with a reward that is a text', withFirst({ reward: '1' }), 'schema', 'interactions[0].reward'],
    ['with a short embedding', withFirst({ embedding: [1] }), 'dimension', 'interactions[0].embedding'],
    [
      'with a short target',
      withFirst({ reward: undefined, target: [1] }),
      'dimension',
      'interactions[0].target',
    ],
    [
      'with a rating of 6',
      withFirst({ reward: undefined, watch: { completionRate: 1, rating: 6 } }),
      'limit',
      'interactions[0].watch.rating',
    ],
    ['with an unknown field', withFirst({ rewrad: 1 }), 'schema', 'interactions[0]'],
    ['with __proto__', JSON.stringify(valid).replace('{', '{"__proto__":{"userId":"x"},'), 'schema', ''],
  ])('%s', (_, message, reason, field) => {
    expect(refusal(message)).toMatchObject({ reason, field, code: 'invalid-input', retryable: false });
  });

  test('with a message that names what was found and what was expected', () => {
    expect(refusal(withFirst({ reward: 1.5 })).message).toBe(
      'interactions[0].reward: found 1.5, expected a number in [0, 1]',
    );
    expect(refusal({ ...valid, userId: undefined }).message).toBe(
      'userId: found nothing, expected 1 to 128 characters without control characters or lone surrogates',
    );
    expect(refusal({ ...valid, mood: 1 }).message).toBe(
      'input: found the unknown field "mood", expected only known fields',
    );
    expect(refusal({ ...valid, schemaVersion: 'x'.repeat(1000) }).message.length).toBeLessThan(160);
  });

  test('with the user, when a valid user id is readable', () => {
    expect(refusal(withFirst({ reward: 2 })).userId).toBe('user');
    expect(refusal({ ...valid, userId: 'a\n' }).userId).toBeUndefined();
    expect(refusal('{').userId).toBeUndefined();
    expect(refusal('{"__proto__":{"userId":"user"}}').userId).toBeUndefined();
  });

  test.each([
    ['brackets', '['.repeat(131_000) + ']'.repeat(131_000)],
    ['open braces', '{"a":'.repeat(50_000)],
    ['nested interactions', `{"interactions":${'['.repeat(131_000)}${']'.repeat(131_000)}}`],
    ['wrong interactions', `{"interactions":[${'{},'.repeat(87_000)}1]}`],
    ['unknown fields', `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join()}}`],
    ['characters that are not base64', JSON.stringify(withFirst({ embedding: '*'.repeat(250_000) }))],
  ])('within a second of CPU time, when it is 256 KiB of %s', (_, body) => {
    const start = process.cpuUsage();
    expect(refusal(body)).toBeInstanceOf(InvalidEventError);
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(1000);
  });

  test('with InvalidEventError only, whatever the text', () => {
    const accepts = (body: string) => {
      try {
        parse(body);
      } catch (error) {
        if (!(error instanceof InvalidEventError)) throw error;
      }
    };
    fc.assert(fc.property(fc.string({ unit: 'binary' }), accepts));
    fc.assert(fc.property(fc.json({ stringUnit: 'binary' }), accepts));
    const cut = fc.tuple(event, fc.nat(400), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(cut, ([input, at, text]) => {
        const body = encodeFeedbackEvent(input);
        accepts(body.slice(0, at) + text + body.slice(at + 1));
      }),
    );
  });
});

test('a change of one field is either refused with its name, or changes only that field', () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    id,
    embedding.map((floats) => [...floats]),
    fc.double(),
  );
  const fields = ['schemaVersion', 'eventId', 'userId', 'occurredAt', 'embeddingModel', 'interactions'];
  const parts = ['itemId', 'embedding', 'reward', 'watch', 'target'];
  const path = fc.oneof(
    fc.constantFrom(...fields).map((field): (string | number)[] => [field]),
    fc.constantFrom(...parts).map((part): (string | number)[] => ['interactions', 1, part]),
  );
  fc.assert(
    fc.property(path, anything, (keys, value) => {
      const changed = JSON.parse(JSON.stringify(valid));
      let owner: object = changed;
      for (const key of keys.slice(0, -1)) owner = Reflect.get(owner, key);
      const last = keys.at(-1)!;
      Reflect.set(owner, last, value);
      const body = JSON.stringify(changed);
      const field = keys.length === 1 ? String(last) : `interactions[1].${last}`;
      try {
        expect(parse(body)).toStrictEqual(meaning(JSON.parse(body)));
      } catch (error) {
        if (!(error instanceof InvalidEventError)) throw error;
        // A second kind of feedback is the fault of the interaction, which has a reward already.
        const second = last === 'watch' || last === 'target';
        const blamed = second && error.field === 'interactions[1]' ? field : error.field;
        expect(blamed.slice(0, field.length)).toBe(field);
      }
    }),
    { numRuns: 500 },
  );
});

describe('a publisher is refused', () => {
  test('for every event that a consumer would refuse', () => {
    const encode = (changes: object) => () => encodeFeedbackEvent({ ...valid, ...changes }, DIM);
    expect(encode({ userId: '' })).toThrow('userId: found "", expected 1 to 128 characters');
    expect(encode({ interactions: [] })).toThrow('interactions: found 0, expected 1 to 100 interactions');
    expect(encode({ interactions: [{ ...interaction, reward: 2 }] })).toThrow(
      'interactions[0].reward: found 2',
    );
    expect(encode({ interactions: [{ ...interaction, embedding: [1] }] })).toThrow(
      'interactions[0].embedding: found 1 numbers, expected 16 numbers',
    );
    expect(encode({ interactions: [{ ...interaction, embedding: Array(DIM).fill(Number.NaN) }] })).toThrow(
      'interactions[0].embedding[0]: found NaN, expected a finite float32',
    );
  });

  test('for a message of more than 256 KiB', () => {
    const long = Array<number>(4096).fill(0.1);
    const interactions = Array(12).fill({ embedding: long, reward: 1 });
    expect(() => encodeFeedbackEvent({ ...valid, interactions })).toThrow('expected at most 262144 bytes');
    expect(encodeFeedbackEvent({ ...valid, interactions: interactions.slice(1) }).length).toBeLessThan(
      262_144,
    );
  });
});
