import { describe, expect, test } from 'vitest';
import { ok } from '../../../functions/personalize/http.ts';
import { parsePersonalizeRequest } from '../../../shared/contract/personalize-request.ts';
import { encodeEmbedding } from '../../../shared/feedback/embedding-codec.ts';

const settings = { embeddingDim: 16, embeddingModel: 'model' };
const embedding = encodeEmbedding(new Float32Array(16).fill(0.25));
const good = { userId: 'ada', candidates: [{ itemId: 'a', embedding }] };

describe('a personalize request', () => {
  test('takes base64 and plain numbers, and asks for scores unless told otherwise', () => {
    const numbers = { embedding: new Array(16).fill(0.25) };
    const parsed = parsePersonalizeRequest({ ...good, candidates: [...good.candidates, numbers] }, settings);
    expect(parsed).toMatchObject({ userId: 'ada', answer: 'scores', explain: false });
    expect(parsed.candidates[0]).toEqual({ itemId: 'a', embedding: new Float32Array(16).fill(0.25) });
    expect(parsed.candidates[1]).toEqual({ embedding: new Float32Array(16).fill(0.25) });
  });

  test.each([
    [undefined, 'input: found nothing, expected an object with userId and candidates'],
    [[], 'input: found [], expected an object with userId and candidates'],
    [
      { ...good, userId: '' },
      'userId: found "", expected 1 to 128 characters without control characters or lone surrogates',
    ],
    [{ ...good, candidates: [] }, 'candidates: found 0 items, expected 1 to 500 candidates'],
    [
      { ...good, candidates: new Array(501).fill({ embedding }) },
      'candidates: found 501 items, expected 1 to 500 candidates',
    ],
    [
      { ...good, candidates: [{ embedding: [1] }] },
      'candidates[0].embedding: found 1 numbers, expected 16 numbers',
    ],
    [
      { ...good, candidates: [{ embedding, colour: 1 }] },
      'candidates[0]: found the unknown field "colour", expected only known fields',
    ],
    [{ ...good, answer: 'both' }, 'answer: found "both", expected "scores" or "embeddings"'],
    [{ ...good, explain: 1 }, 'explain: found 1, expected true or false'],
    [{ ...good, embeddingModel: 'other' }, 'embeddingModel: found "other", expected "model"'],
    [JSON.parse('{"__proto__": {"userId": "x"}, "candidates": []}'), /^(userId|input)/],
  ])('names the invalid field of %j', (payload, message) => {
    expect(() => parsePersonalizeRequest(payload, settings)).toThrow(message);
  });

  test('is refused by its length before any element is looked at', () => {
    let looked = 0;
    const look = () => {
      looked++;
      return [];
    };
    const element = new Proxy({}, { get: look, ownKeys: look });
    const payload = { userId: 'ada', candidates: new Array(2_000).fill(element) };
    expect(() => parsePersonalizeRequest(payload, settings)).toThrow('candidates: found 2000 items');
    expect(looked).toBe(0);
  });

  test('is refused when the embeddings that it asks for do not fit into an answer of Lambda', () => {
    const large = { embeddingDim: 3072, embeddingModel: 'model' };
    const wide = encodeEmbedding(new Float32Array(3072).fill(0.25));
    const request = (count: number) => ({
      userId: 'ada',
      answer: 'embeddings',
      candidates: new Array(count).fill({ itemId: '"'.repeat(128), embedding: wide }),
    });
    expect(() => parsePersonalizeRequest(request(500), large)).toThrow(
      'candidates: found 500 items, expected at most 358, whose embeddings of 3072 numbers fit into an answer',
    );
    const { candidates } = parsePersonalizeRequest(request(358), large);
    const answer = candidates.map(({ itemId }, index) => ({ index, itemId, embedding: wide }));
    expect(Buffer.byteLength(JSON.stringify({ items: answer }))).toBeLessThan(6_291_556);
    // Over the Function URL, the answer is a text within an answer.
    expect(Buffer.byteLength(JSON.stringify(ok({ items: answer })))).toBeLessThan(6_291_556);
    expect(parsePersonalizeRequest({ ...request(500), answer: 'scores' }, large).candidates).toHaveLength(
      500,
    );
  });
});
