import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { type AttuneOptions, createAttune } from '../../shared/client/index.ts';
import { CATALOGUE_SETTINGS, randomItems } from '../support/catalogue.ts';
import { startWholeStack } from './running-stack.ts';

const items = randomItems(60, 'client');
const embeddingOf = (i: number) => Float32Array.from(items[i]!.embedding);
const candidates = items.slice(40).map(({ itemId }, i) => ({ itemId, embedding: embeddingOf(40 + i) }));

let running: Awaited<ReturnType<typeof startWholeStack>>;
let options: AttuneOptions;

beforeAll(async () => {
  running = await startWholeStack();
  const { endpoints, environment, outputs } = running.stack;
  options = {
    outputs: { Attune: outputs },
    region: environment.AWS_REGION,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    endpoint: { lambda: endpoints.lambda, sqs: endpoints.sqs },
    embeddingDim: CATALOGUE_SETTINGS.embeddingDim,
    deadlineMs: 60_000,
  };
  await new CatalogueWriter(running.objects, CATALOGUE_SETTINGS, { basis: null, now: Date.now }).put(items);
});
afterAll(() => running?.stop());

describe('the client', () => {
  it('publishes feedback that the deployment applies, and ends with everything sent', async () => {
    const attune = createAttune(options);
    for (let i = 0; i < 20; i++)
      void attune.publish({
        userId: 'ada',
        itemId: `item-${i}`,
        embedding: embeddingOf(i),
        reward: i % 3 === 0 ? 0.9 : 0.1,
      });
    expect(await attune.close()).toEqual([]);
    await running.stack.idle();
    await using reader = createAttune(options);
    const answer = await reader.score({ userId: 'ada', candidates, explain: true });
    expect(answer).toMatchObject({ userId: 'ada', adapterVersion: 1 });
    expect(answer.items).toHaveLength(20);
    const scores = answer.items.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  });

  it('answers embeddings as float32 arrays, in the order of the candidates', async () => {
    await using attune = createAttune(options);
    const { items: moved } = await attune.embed({ userId: 'nobody', candidates });
    expect(moved.map(({ itemId }) => itemId)).toEqual(candidates.map(({ itemId }) => itemId));
    expect(moved[3]!.embedding).toBeInstanceOf(Float32Array);
    expect(moved[3]!.embedding).toHaveLength(CATALOGUE_SETTINGS.embeddingDim);
  });

  it('recommends from the whole catalogue, and finds items like an item', async () => {
    await using attune = createAttune(options);
    const filter = { attribute: 'genre', in: ['comedy'] };
    const best = await attune.recommend({ userId: 'ada', limit: 5, filter, exclude: ['item-42'] });
    expect(best.items).toHaveLength(5);
    for (const { itemId } of best.items) {
      const number = Number(itemId.slice('item-'.length));
      expect(number % 3).toBe(0);
      expect(number).not.toBe(42);
    }
    const like = await attune.similar({ itemId: 'item-7', limit: 3 });
    expect(like.itemId).toBe('item-7');
    expect(like.items).toHaveLength(3);
  });

  it('throws what the function says of a wrong request: code, field, found and expected', async () => {
    await using attune = createAttune(options);
    const wrong = attune.score({ userId: 'ada', candidates: [{ embedding: [1, 2, 3] }] });
    await expect(wrong).rejects.toMatchObject({
      name: 'InvalidInputError',
      code: 'invalid-input',
      field: 'candidates[0].embedding',
      found: '3 numbers',
      expected: '16 numbers',
    });
  });

  it('throws typed errors for a function that is not there, a missing resource and a deadline', async () => {
    await using absent = createAttune({ ...options, resources: { personalizeFunctionName: 'no-such' } });
    await expect(absent.recommend({ userId: 'ada' })).rejects.toMatchObject({ code: 'not-found' });
    await using unnamed = createAttune({ ...options, outputs: {} });
    await expect(unnamed.recommend({ userId: 'ada' })).rejects.toMatchObject({
      code: 'invalid-configuration',
    });
    await using late = createAttune({ ...options, clock: { now: Date.now, after: atOnce } });
    await expect(late.recommend({ userId: 'ada' })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('gives a call up when its signal is aborted', async () => {
    await using attune = createAttune(options);
    const reason = new Error('the visitor left');
    const given = attune.recommend({ userId: 'ada', signal: AbortSignal.abort(reason) });
    await expect(given).rejects.toBe(reason);
    const controller = new AbortController();
    const underWay = attune.recommend({ userId: 'ada', signal: controller.signal });
    controller.abort(reason);
    await expect(underWay).rejects.toBe(reason);
  });
});

/** A clock whose time is always up. */
function atOnce(_: number, callback: () => void) {
  callback();
  return () => {};
}
