import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { explain } from '../../functions/personalize/http.ts';
import {
  type PersonalizeRequest,
  parsePersonalizeRequest,
} from '../../shared/contract/personalize-request.ts';
import { InvalidInputError } from '../../shared/errors.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { runAttune } from '../support/run-attune.ts';

const DIM = 16;
let server: Server;
let asked: PersonalizeRequest[];
let env: Record<string, string>;

/** A Lambda whose function checks requests as the real one does, and scores by the first number. */
beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.end(JSON.stringify(answerTo(JSON.parse(Buffer.concat(chunks).toString()))));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  env = {
    AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
});
afterAll(() => server.close());
beforeEach(() => {
  asked = [];
});

function answerTo(payload: unknown): object {
  try {
    const request = parsePersonalizeRequest(payload, { embeddingDim: DIM, embeddingModel: 'm' });
    asked.push(request);
    const items = request.candidates.map(({ itemId, embedding }, index) => ({
      index,
      ...(itemId === undefined ? {} : { itemId }),
      ...(request.answer === 'scores' ? { score: embedding[0] } : { embedding: encodeEmbedding(embedding) }),
    }));
    return { userId: request.userId, adapterVersion: 3, skillsVersion: 1, source: 'adapter', items };
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    return { error: explain(error) };
  }
}

const embeddingOf = (first: number) => [first, ...new Array<number>(DIM - 1).fill(0.5)];
const linesOf = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({ itemId: `item ${i}`, embedding: embeddingOf((i * 7919) % count) }),
  ).join('\n');
const personalize = (input: string, ...options: string[]) =>
  runAttune(['personalize', '-', '--user', 'ada', '--function-name', 'f', ...options], { env, input });

describe('attune personalize', () => {
  it('ranks more candidates than fit into one request, as one request would', async () => {
    const { code, stdout } = await personalize(linesOf(1_201), '--json');
    expect(code).toBe(0);
    expect(asked.map(({ candidates }) => candidates.length)).toEqual([500, 500, 201]);
    const { items, userId } = JSON.parse(stdout) as {
      userId: string;
      items: { index: number; itemId: string; score: number }[];
    };
    expect(userId).toBe('ada');
    expect(items.map(({ score }) => score)).toEqual(Array.from({ length: 1_201 }, (_, i) => 1_200 - i));
    for (const { index, itemId, score } of items) {
      expect(itemId).toBe(`item ${index}`);
      expect(score).toBe((index * 7919) % 1_201);
    }
  });

  it('returns embeddings of more candidates than fit into one answer, in the order of the file', async () => {
    const { stdout } = await personalize(linesOf(501), '--answer', 'embeddings');
    expect(asked.map(({ candidates }) => candidates.length)).toEqual([200, 200, 101]);
    const { items } = JSON.parse(stdout) as { items: { index: number; itemId: string; embedding: string }[] };
    expect(items.map(({ index }) => index)).toEqual(Array.from({ length: 501 }, (_, i) => i));
    expect(
      items.every(
        ({ embedding }, i) => embedding === encodeEmbedding(Float32Array.from(embeddingOf((i * 7919) % 501))),
      ),
    ).toBe(true);
  });

  it('names items without an id by their line, including blank lines', async () => {
    const lines = [0.1, 0.2].map((first) => JSON.stringify({ embedding: embeddingOf(first) }));
    const { stdout } = await personalize(`\n${lines[0]}\n\n\n${lines[1]}\n`);
    expect(stdout).toBe('adapter, adapter version 3, skills version 1\n0.2000  line 5\n0.1000  line 2\n');
  });

  it.each([
    ['not JSON', '[1]', 'attune: - line 502: found "[1]", expected a JSON object\n'],
    [
      'of another length',
      '{"embedding":[1]}',
      'attune: - line 502, embedding: found 1 numbers, expected 16 numbers\n',
    ],
    [
      'with an unknown field',
      JSON.stringify({ embedding: embeddingOf(1), rank: 1 }),
      'attune: - line 502: found the unknown field "rank", expected only known fields\n',
    ],
  ])('names the line that is %s', async (_, line, problem) => {
    const { code, stdout, stderr } = await personalize(`${linesOf(500)}\n\n${line}`);
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: problem });
  });
});
