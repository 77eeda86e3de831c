import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import { userKey } from '../../shared/config/user-key.ts';
import type { PersonalizeAnswer } from '../../shared/contract/answers.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { hyperparametersFor } from '../../shared/population/exploration.ts';
import { isHeldOut } from '../../shared/population/holdout.ts';
import { runAttune } from '../support/run-attune.ts';
import { SETTINGS, startWholeStack } from './running-stack.ts';

const LEARNING = { ...SETTINGS, learner: 'sgd', learningRate: 0.1, exploration: 0.5 } as const;
const HOLDOUT = 0.5;
const USERS = 12;
const EVENTS = 3;

const random = createRandom('other settings');
const items = Array.from({ length: 30 }, () =>
  Float32Array.from({ length: SETTINGS.embeddingDim }, () => random.normal()),
);
let running: Awaited<ReturnType<typeof startWholeStack>>;
let folder: string;

beforeAll(async () => {
  const { learner, learningRate, exploration } = LEARNING;
  running = await startWholeStack({ learner, learningRate, exploration, holdout: HOLDOUT });
  folder = await mkdtemp(join(tmpdir(), 'attune-outputs-'));
  for (let user = 0; user < USERS; user++) {
    for (let event = 0; event < EVENTS; event++) {
      const userId = `user ${user}`;
      const body = encodeFeedbackEvent({
        eventId: `${user} ${event}`,
        userId,
        occurredAt: '2026-01-01T00:00:00Z',
        interactions: [0, 1, 2, 3, 4].map((i) => {
          const embedding = items[5 * event + i]!;
          return { itemId: `item ${5 * event + i}`, embedding, reward: embedding[0]! > 0 ? 1 : 0 };
        }),
      });
      await running.sqs.send(
        new SendMessageCommand({
          QueueUrl: running.output('feedbackQueueUrl'),
          MessageBody: body,
          MessageGroupId: userKey(userId),
          MessageDeduplicationId: `${user}-${event}`,
        }),
      );
    }
  }
  await running.stack.idle();
});
afterAll(async () => {
  await running?.stop();
  await rm(folder, { recursive: true, force: true });
});

it("trains each user's adapter with the learner 'sgd' and the user's own learning rate", async () => {
  const rates = new Set<number>();
  for (let user = 0; user < USERS; user++) {
    const key = userKey(`user ${user}`);
    const { adapter } = (await running.adapters.load(key))!;
    expect(adapter.state).toMatchObject({ learner: 'sgd', count: 5 * EVENTS });
    const expected = hyperparametersFor(key, LEARNING, null);
    expect(adapter.lastEpisode!.hyperparameters).toEqual(expected);
    rates.add(expected!.learningRate!);
  }
  expect(rates.size).toBeGreaterThan(2);
});

it('consolidates item effects and learning rates, and fits no prior', async () => {
  const report = (await running.stack.invoke(running.output('consolidateFunctionName'), {
    force: true,
    settleSeconds: 0,
  })) as ConsolidationReport;
  expect(report).toMatchObject({ status: 'consolidated', items: 15, evidence: null, considered: 2 });
  expect(report.strategy!.considered.length).toBeGreaterThan(0);
});

it('serves held-out users without adapter, and says so', async () => {
  const candidates = items.slice(20).map((embedding) => ({ embedding: Array.from(embedding) }));
  const sources = new Map<string, boolean>();
  for (let user = 0; user < USERS; user++) {
    const userId = `user ${user}`;
    const { Payload } = await running.lambda.send(
      new InvokeCommand({
        FunctionName: running.output('personalizeFunctionName'),
        Payload: JSON.stringify({ userId, candidates }),
      }),
    );
    const answer = JSON.parse(Buffer.from(Payload!).toString()) as PersonalizeAnswer;
    const heldOut = isHeldOut(userKey(userId), HOLDOUT);
    expect(answer.source === 'holdout').toBe(heldOut);
    sources.set(answer.source, heldOut);
    if (heldOut) expect(answer.items.map(({ index }) => index)).toEqual(candidates.map((_, i) => i));
  }
  expect([...sources.values()]).toEqual(expect.arrayContaining([true, false]));
});

it('prints the uplift of the cell in the outputs, with the held-out users', async () => {
  const outputs = join(folder, 'outputs.json');
  await writeFile(outputs, JSON.stringify({ Attune: running.stack.outputs }));
  const told = await runAttune(['uplift', '--json', '--outputs', outputs], {
    env: running.stack.environment,
    input: '',
  });
  expect(told).toMatchObject({ code: 0, stderr: '' });
  const heldOut = Array.from({ length: USERS }, (_, user) => userKey(`user ${user}`)).filter((key) =>
    isHeldOut(key, HOLDOUT),
  );
  expect(JSON.parse(told.stdout)).toMatchObject({ users: USERS, heldOutUsers: heldOut.length });
});
