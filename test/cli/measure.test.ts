import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { simulate } from '../../cli/replay/datasets/simulator.ts';
import { rankHeldOut } from '../../cli/replay/measure.ts';
import { planReplay, type ReplayPlan } from '../../cli/replay/plan.ts';
import { lambdaClient } from '../../shared/config/clients/lambda.ts';

const plan = planReplay(
  simulate({ users: 4, items: 50, interactionsPerUser: 20, embeddingDim: 16, seed: 1 }),
);
const unanimous: ReplayPlan = {
  ...plan,
  heldOut: plan.heldOut.map(({ userId, interactions }) => ({
    userId,
    interactions: interactions.map((interaction) => ({ ...interaction, reward: 1 })),
  })),
};

/** A Lambda whose personalize scores candidates by their position, after `answer` permits it. */
let server: Server;
let requests: number;
let answering: boolean;
beforeEach(async () => {
  requests = 0;
  answering = true;
  server = createServer((request, response) => {
    let body = '';
    request
      .on('data', (chunk) => {
        body += String(chunk);
      })
      .on('end', () => {
        requests += 1;
        if (!answering) return;
        const { candidates } = JSON.parse(body) as { candidates: unknown[] };
        response.end(JSON.stringify({ items: candidates.map((_, index) => ({ index, score: index })) }));
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function rank(of: ReplayPlan, signal: AbortSignal, onProgress: (users: number) => void = () => {}) {
  const client = lambdaClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  return rankHeldOut(of, { client, functionName: 'personalize', signal }, onProgress).finally(() =>
    client.destroy(),
  );
}

describe('ranking held-out items', () => {
  test('asks personalize twice per user: as for a new user, and for the user', async () => {
    const seen: number[] = [];
    await rank(plan, new AbortController().signal, (done) => seen.push(done));
    expect({ requests, seen }).toEqual({ requests: 8, seen: [1, 2, 3, 4] });
  });

  test('ends when interrupted, without asking for the next user', async () => {
    const interrupted = new AbortController();
    const reason = new Error('Ctrl-C');
    const ranking = rank(plan, interrupted.signal, () => interrupted.abort(reason));
    await expect(ranking).rejects.toBe(reason);
    expect(requests).toBe(2);
  });

  test('ends when interrupted while an answer is awaited', async () => {
    answering = false;
    const interrupted = new AbortController();
    const ranking = rank(plan, interrupted.signal);
    await expect.poll(() => requests).toBe(1);
    interrupted.abort();
    await expect(ranking).rejects.toThrow(/abort/i);
  });

  test('has no AUC when every held-out item was liked', async () => {
    expect(await rank(unanimous, new AbortController().signal)).toEqual({
      users: 0,
      aucBase: null,
      aucShared: null,
      aucAdapted: null,
      aucAdaptedInterval: null,
      aucGain: null,
      aucGainInterval: null,
      ndcgBase: 1,
      ndcgShared: 1,
      ndcgAdapted: 1,
    });
  });
});
