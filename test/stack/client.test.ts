import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeServer, listen } from '../../infra/local/listen.ts';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { type AttuneOptions, createAttune } from '../../shared/client/index.ts';
import { recommendAnswer, scoreAnswer, searchAnswer } from '../../shared/contract/answers.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { CATALOGUE_SETTINGS, randomItems } from '../support/catalogue.ts';
import { LOCAL } from '../support/local-clients.ts';
import { SETTINGS, startWholeStack } from './running-stack.ts';

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
    credentials: LOCAL.credentials,
    endpoint: endpoints,
    embeddingDim: CATALOGUE_SETTINGS.embeddingDim,
    deadlineMs: 60_000,
  };
  const { rank, scalingFactor, embeddingModel } = SETTINGS;
  const basis = basisFromEmbeddings(
    items.map((_, i) => embeddingOf(i)),
    { rank, scalingFactor, seed: 1 },
  );
  await running.learning.basis.write({ basis, embeddingModel });
  await new CatalogueWriter(running.objects, CATALOGUE_SETTINGS, { basis, now: Date.now }).put(items);
});
afterAll(() => running?.stop());

describe('the client', () => {
  it('publishes feedback that the deployment applies, and ends with everything sent', async () => {
    const attune = createAttune(options);
    const published = Array.from({ length: 20 }, (_, i) =>
      attune.publish({
        userId: 'ada',
        itemId: `item-${i}`,
        embedding: embeddingOf(i),
        reward: i % 3 === 0 ? 0.9 : 0.1,
      }),
    );
    expect(await attune.close()).toEqual([]);
    const ids = new Set((await Promise.all(published)).map(({ eventId }) => eventId));
    expect(ids.size).toBe(1);
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

  it('searches by a query and taste, and returns the vector for any other store', async () => {
    await using attune = createAttune(options);
    const query = embeddingOf(7);
    const found = await attune.search({ userId: 'ada', query, limit: 3, queryVector: true });
    expect(found.items).toHaveLength(3);
    expect(found.queryVector).toBeInstanceOf(Float32Array);
    expect(found.queryVector).toHaveLength(CATALOGUE_SETTINGS.embeddingDim);
    searchAnswer.strict().parse({ ...found, queryVector: undefined });
    expect(await attune.search({ userId: 'ada', query, limit: 3 })).not.toHaveProperty('queryVector');
  });

  it('explains recommendations and scores: the parts add up to the score', async () => {
    await using attune = createAttune(options);
    const recommended = await attune.explain({ userId: 'ada', limit: 5 });
    const scored = await attune.explain({ userId: 'ada', candidates });
    expect(recommended.items).toHaveLength(5);
    for (const { score, parts } of [...recommended.items, ...scored.items])
      expect(parts.base + parts.popularity + parts.item + parts.user).toBeCloseTo(score, 10);
    recommendAnswer.strict().parse(recommended);
    scoreAnswer.strict().parse(scored);
  });

  it('scores and embeds in its own process as the function does, and sees what was learned since', async () => {
    await using remote = createAttune(options);
    const { endpoints } = running.stack;
    await using local = createAttune({
      ...options,
      local: true,
      // No server listens at the function's address.
      endpoint: { ...endpoints, lambda: 'http://127.0.0.1:9' },
    });
    for (const userId of ['ada', 'nobody']) {
      expect(await local.score({ userId, candidates, explain: true })).toEqual(
        await remote.score({ userId, candidates, explain: true }),
      );
      expect(await local.embed({ userId, candidates })).toEqual(await remote.embed({ userId, candidates }));
    }
    const { adapterVersion } = await local.score({ userId: 'ada', candidates });
    await remote.publish({ userId: 'ada', itemId: 'item-3', embedding: embeddingOf(3), reward: 1 });
    await running.stack.idle();
    const later = await local.score({ userId: 'ada', candidates });
    expect(later.source).toBe('adapter');
    expect(later.adapterVersion).toBe(adapterVersion + 1);
    expect(later).toEqual(await remote.score({ userId: 'ada', candidates }));
    const wrong = local.score({ userId: 'ada', candidates: [{ embedding: [1, 2, 3] }] });
    await expect(wrong).rejects.toMatchObject({ field: 'candidates[0].embedding', found: '3 numbers' });
  });

  it('exports everything stored about a user, and forgets it', async () => {
    await using attune = createAttune(options);
    await attune.publish({ userId: 'leaving', itemId: 'item-1', embedding: embeddingOf(1), reward: 1 });
    await running.stack.idle();
    const files = await attune.export({ userId: 'leaving' });
    expect(Object.keys(files).sort()).toEqual([
      'adapter-versions.jsonl',
      'adapter.safetensors',
      'episodes.jsonl',
    ]);
    expect(Object.keys(await attune.export({ userId: 'leaving', format: 'peft' }))).toContain(
      'adapter_config.json',
    );
    const receipt = await attune.forget({ userId: 'leaving', settleMs: 0 });
    expect(receipt).toMatchObject({ removed: { episodes: 1 }, verified: true });
    expect(await attune.export({ userId: 'leaving' })).toEqual({});
    await expect(attune.forget({ userId: 'never-seen', settleMs: 0 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('finds its resources by the name of the CloudFormation stack', async () => {
    const { outputs } = running.stack;
    const member = ([key, value]: [string, string]) =>
      `<member><OutputKey>${key}</OutputKey><OutputValue>${escaped(value)}</OutputValue></member>`;
    const stack = `<Outputs>${Object.entries(outputs).map(member).join('')}</Outputs>`;
    const cloudFormation = createServer((request, response) => {
      request.setEncoding('utf8');
      request.on('data', (body: string) => {
        const known = body.includes('StackName=Attune');
        response.writeHead(known ? 200 : 400, { 'content-type': 'text/xml' });
        response.end(
          known
            ? `<DescribeStacksResponse><DescribeStacksResult><Stacks><member>${stack}</member></Stacks></DescribeStacksResult></DescribeStacksResponse>`
            : '<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id Other does not exist</Message></Error></ErrorResponse>',
        );
      });
    });
    const endpoint = {
      ...running.stack.endpoints,
      cloudformation: await listen(cloudFormation, 'cloudformation', 0),
    };
    try {
      const { outputs: _, ...rest } = options;
      await using attune = createAttune({ ...rest, stackName: 'Attune', endpoint });
      expect((await attune.recommend({ userId: 'ada', limit: 2 })).items).toHaveLength(2);
      await using other = createAttune({ ...rest, stackName: 'Other', endpoint });
      await expect(other.recommend({ userId: 'ada' })).rejects.toMatchObject({
        code: 'not-found',
        message: 'found no stack Other',
      });
    } finally {
      await closeServer(cloudFormation);
    }
  });

  it('throws the error of the function for an invalid request: code, field, found and expected', async () => {
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

/** Text of an XML element. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/** A clock whose time is always up. */
function atOnce(_: number, callback: () => void) {
  callback();
  return () => {};
}
