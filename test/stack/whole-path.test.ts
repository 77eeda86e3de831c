import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { GetQueueAttributesCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aucByThreshold } from '../../cli/replay/datasets/ranking-metrics.ts';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import { METRIC, PREFIX } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import type {
  PersonalizeAnswer,
  RecommendAnswer,
  RecommendedItem,
  ScoredItem,
} from '../../shared/contract/answers.ts';
import { cellOf, itemKey } from '../../shared/episodes/episode.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { encodeFeedbackEvent, type FeedbackEventInput } from '../../shared/feedback/event.ts';
import type { QuarantinedMessage } from '../../shared/feedback/quarantine.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { upliftOf } from '../../shared/population/uplift.ts';
import { runAttune } from '../support/run-attune.ts';
import { SETTINGS, startWholeStack } from './running-stack.ts';

const DIM = SETTINGS.embeddingDim;
const random = createRandom('whole path');
/** Like real embeddings, these have a common part: their last coordinate. */
const items = Array.from({ length: 60 }, () =>
  Float32Array.from({ length: DIM }, (_, i) => (i === DIM - 1 ? 3 : (i === 0 ? 2 : 1) * random.normal())),
);

let running: Awaited<ReturnType<typeof startWholeStack>>;
let folder: string;
/** As `cdk deploy --outputs-file` writes it. */
let outputs: string;
const command = (args: readonly string[], input = '') =>
  runAttune([...args, '--outputs', outputs], { env: running.stack.environment, input });

beforeAll(async () => {
  running = await startWholeStack();
  folder = await mkdtemp(join(tmpdir(), 'attune-outputs-'));
  outputs = join(folder, 'outputs.json');
  await writeFile(outputs, JSON.stringify({ Attune: running.stack.outputs }));
  const catalogue = items.map((item) => JSON.stringify({ embedding: encodeEmbedding(item) })).join('\n');
  const built = await command(['basis', 'build', '-'], catalogue);
  expect(built).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^basis [0-9a-f]{16} from 60 items, rank 4/),
  });
});
afterAll(async () => {
  await running?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A user who likes items along the first axis. */
const tasteOf = (item: Float32Array) => (item[0]! > 0 ? 0.9 : 0.1);

function eventOf(userId: string, index: number, indices: readonly number[]): FeedbackEventInput {
  return {
    eventId: `${userId}-${index}`,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: indices.map((i) => ({
      itemId: `item-${i}`,
      embedding: items[i]!,
      reward: tasteOf(items[i]!),
    })),
  };
}

async function send(userId: string, body: string, id: string): Promise<string> {
  const { MessageId } = await running.sqs.send(
    new SendMessageCommand({
      QueueUrl: running.output('feedbackQueueUrl'),
      MessageBody: body,
      MessageGroupId: userKey(userId),
      MessageDeduplicationId: id,
    }),
  );
  return MessageId!;
}

async function publish(userId: string, events: number): Promise<void> {
  for (let event = 0; event < events; event++) {
    const indices = Array.from({ length: 4 }, (_, i) => (event * 4 + i) % 40);
    await send(userId, encodeFeedbackEvent(eventOf(userId, event, indices)), `${userId}-${event}`);
  }
}

async function personalize(payload: unknown): Promise<{ answer: PersonalizeAnswer; failed: boolean }> {
  const { Payload, FunctionError } = await running.lambda.send(
    new InvokeCommand({
      FunctionName: running.output('personalizeFunctionName'),
      Payload: JSON.stringify(payload),
    }),
  );
  return { answer: JSON.parse(Buffer.from(Payload!).toString()), failed: FunctionError !== undefined };
}

/** How often a liked item ranks above a disliked one. */
function aucOf({ items: ranked }: PersonalizeAnswer): number | undefined {
  const scored = ranked as readonly ScoredItem[];
  return aucByThreshold(
    scored.map(({ score }) => score),
    scored.map(({ index }) => tasteOf(items[unseen[index]!]!) > 0.5),
  );
}

function aucOfList(
  { items: listed }: RecommendAnswer,
  by = ({ score }: RecommendedItem) => score,
): number | undefined {
  return aucByThreshold(
    listed.map(by),
    listed.map(({ itemId }) => tasteOf(items[Number(itemId.slice('item-'.length))]!) > 0.5),
  );
}

const unseen = Array.from({ length: 20 }, (_, i) => 40 + i);
const candidates = unseen.map((i) => ({ itemId: `item-${i}`, embedding: encodeEmbedding(items[i]!) }));

/**
 * Messages of grace that can never be applied, with code and reason, and whether their user is
 * readable.
 */
function badMessages(): [body: string, code: string, reason: RegExp, known: boolean][] {
  const interaction = { embedding: encodeEmbedding(items[0]!), reward: 0.5 };
  const event = (part: object, first: object = {}) =>
    JSON.stringify({
      schemaVersion: 1,
      eventId: 'bad',
      userId: 'grace',
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: [{ ...interaction, ...first }],
      ...part,
    });
  const notFinite = encodeEmbedding(items[0]!.with(3, Number.NaN));
  return [
    ['this is not JSON', 'not-json', /found "this is not JSON", expected JSON/, false],
    [event({ occurredAt: 7 }), 'schema', /^occurredAt: found 7, expected/, true],
    [
      event({}, { embedding: [1, 2, 3] }),
      'dimension',
      /^interactions\[0\]\.embedding: found 3 numbers, expected 16/,
      true,
    ],
    [
      event({}, { embedding: notFinite }),
      'not-finite',
      /^interactions\[0\]\.embedding\[3\]: found NaN/,
      true,
    ],
    [
      event({}, { reward: 1.5 }),
      'limit',
      /^interactions\[0\]\.reward: found 1\.5, expected a number in \[0, 1\]/,
      true,
    ],
    [
      event({ userId: 'x'.repeat(129) }),
      'limit',
      /^userId: found "x+\.\.\., expected 1 to 128 characters/,
      false,
    ],
    [
      event({ embeddingModel: 'other' }),
      'embedding-model',
      /^embeddingModel: found "other", expected "test-model"/,
      true,
    ],
  ];
}

describe('the whole stack', () => {
  it('ranks unseen items by what a user liked before', async () => {
    await publish('ada', 10);
    await running.stack.idle();
    const { answer } = await personalize({ userId: 'ada', candidates, explain: true });
    expect(answer).toMatchObject({ userId: 'ada', adapterVersion: 10, source: 'adapter' });
    expect(aucOf(answer)).toBeGreaterThan(0.9);
    for (const { score, parts } of answer.items as ScoredItem[]) {
      const { base, popularity, item, user } = parts!;
      expect(base + popularity + item + user).toBeCloseTo(score, 12);
    }
  });

  it('remembers every update as an episode', async () => {
    const known = await running.episodes.recent(cellOf(SETTINGS), 100);
    const versions = known
      .filter((episode) => episode.userKey === userKey('ada'))
      .map(({ version }) => version);
    expect(versions.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('answers the Function URL as it answers Invoke, and explains bad requests', async () => {
    const url = running.output('personalizeUrl');
    const signed = { authorization: 'AWS4-HMAC-SHA256 not verified on one machine' };
    const post = (body: string) => fetch(url, { method: 'POST', body, headers: signed });
    expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(403);
    const good = await post(JSON.stringify({ userId: 'ada', candidates }));
    expect(good.status).toBe(200);
    expect(await good.json()).toEqual((await personalize({ userId: 'ada', candidates })).answer);
    const bad = await post(JSON.stringify({ userId: 'ada', candidates: [{ embedding: [1, 2, 3] }] }));
    expect(bad.status).toBe(400);
    expect(await bad.json()).toEqual({
      error: {
        code: 'invalid-input',
        field: 'candidates[0].embedding',
        found: '3 numbers',
        expected: '16 numbers',
        message: 'candidates[0].embedding: found 3 numbers, expected 16 numbers',
      },
    });
    expect((await post('{')).status).toBe(400);
    expect((await fetch(url, { headers: signed })).status).toBe(400);
  });

  it('quarantines invalid events, and applies everything around them', async () => {
    const good = (index: number) => encodeFeedbackEvent(eventOf('grace', index, [index]));
    const bad = badMessages();
    const expected: { messageId: string; code: string; reason: RegExp; known: boolean; body: string }[] = [];
    for (const [index, [body, code, reason, known]] of bad.entries()) {
      await send('grace', good(index), `good ${index}`);
      const messageId = await send('grace', body, `bad ${index}`);
      expected.push({ messageId, code, reason, known, body });
    }
    await send('grace', good(bad.length), 'good last');
    const wrongGroup = await send(
      'somebody else',
      encodeFeedbackEvent(eventOf('grace', 99, [1])),
      'wrong group',
    );
    await publish('alan', 1);
    await running.stack.idle();

    for (const { messageId, code, reason, known, body } of expected) {
      const found = await running.objects.get(
        `${PREFIX.quarantine}${known ? userKey('grace') : 'unknown'}/${messageId}`,
      );
      if (found === undefined || found === 'not-modified') throw new Error(`${code} is not in quarantine`);
      const message: QuarantinedMessage = JSON.parse(Buffer.from(found.body).toString());
      expect(message).toMatchObject({ code, body, messageId });
      expect(message.reason).toMatch(reason);
    }
    const grouped = await running.objects.get(`${PREFIX.quarantine}${userKey('grace')}/${wrongGroup}`);
    expect(grouped).toBeDefined();
    expect((await running.adapters.load(userKey('grace')))?.adapter.state.record.count).toBe(bad.length + 1);
    expect((await running.adapters.load(userKey('alan')))?.adapter.state.record.count).toBe(4);
    expect(running.stack.metrics.sum(METRIC.eventsQuarantined)).toBe(bad.length + 1);
    const { Attributes } = await running.sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: running.output('deadLetterQueueUrl'),
        AttributeNames: ['All'],
      }),
    );
    expect(Attributes?.ApproximateNumberOfMessages).toBe('0');
  });

  it('recognises an event that was sent again as a new message', async () => {
    const before = await running.adapters.load(userKey('ada'));
    await send('ada', encodeFeedbackEvent(eventOf('ada', 3, [12, 13, 14, 15])), 'sent again');
    await running.stack.idle();
    const after = await running.adapters.load(userKey('ada'));
    expect(after).toEqual(before);
    expect(running.stack.metrics.sum(METRIC.eventsDuplicate)).toBe(1);
  });

  it('learns a population model from many users, for new users', async () => {
    for (let user = 0; user < 30; user++) await publish(`user ${user}`, 5);
    await running.stack.idle();
    const newcomer = { userId: 'nobody yet', candidates };
    expect((await personalize(newcomer)).answer.source).toBe('base');

    const consolidate = () =>
      running.stack.invoke(running.output('consolidateFunctionName'), {
        force: true,
        settleSeconds: 0,
      }) as Promise<ConsolidationReport>;
    const report = await consolidate();
    expect(report).toMatchObject({
      status: 'consolidated',
      skillsCreated: 3,
      skillsVersion: 1,
      priorAccepted: true,
    });
    expect(report.items).toBe(40);
    const { evidence } = report;
    expect(evidence!.logLikelihoodAfter).toBeGreaterThan(evidence!.logLikelihoodBefore);
    expect(await consolidate()).toMatchObject({ status: 'nothing-new', skillsVersion: 1 });

    await running.stack.recycle();
    const { answer } = await personalize(newcomer);
    expect(answer).toMatchObject({ source: 'warm-start', adapterVersion: 0, skillsVersion: 1 });
    expect(aucOf(answer)).toBeGreaterThan(0.9);
  });

  it('ranks the catalogue by choice where users rate, and scores candidates by predicted rewards', async () => {
    const lines = items.map((item, i) => JSON.stringify({ itemId: `item-${i}`, embedding: [...item] }));
    expect(await command(['catalogue', 'put', '-'], lines.join('\n'))).toMatchObject({ code: 0 });
    await running.stack.recycle();
    const { answer } = await personalize({ action: 'recommend', userId: 'ada', limit: 20, explain: true });
    const list = answer as unknown as RecommendAnswer;
    expect(list).toMatchObject({ source: 'adapter', matching: 20 });
    for (const { parts } of list.items) expect(parts).toMatchObject({ base: 0, item: 0 });
    expect(aucOfList(list)).toBeGreaterThan(0.9);
    // A user without history gets what others picked.
    const all = { action: 'recommend', userId: 'nobody yet', limit: 60, explain: true };
    const everything = (await personalize(all)).answer as unknown as RecommendAnswer;
    expect(everything.items.filter(({ parts }) => parts!.popularity > 0).length).toBeGreaterThan(10);
    expect(aucOfList(everything, ({ parts }) => parts!.user)).toBeGreaterThan(0.9);
    const scored = (await personalize({ userId: 'ada', candidates, explain: true })).answer;
    for (const { parts } of scored.items as ScoredItem[]) {
      expect(parts).toMatchObject({ popularity: 0, together: 0 });
      expect(parts!.base).toBeGreaterThan(0.2);
    }
  });

  it('works with the commands of the command line', async () => {
    const lines = candidates.map((candidate) => JSON.stringify(candidate)).join('\n');
    const asked = await command(['personalize', '-', '--user', 'ada', '--json'], lines);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(asked.stdout)).toEqual((await personalize({ userId: 'ada', candidates })).answer);

    const feedback = { userId: 'hedy', itemId: 'item-1', embedding: Array.from(items[1]!), reward: 1 };
    const again = ['publish', '-', '--batch-id', 'import 1'];
    await command(again, JSON.stringify(feedback));
    const sent = await command(again, JSON.stringify(feedback));
    expect(sent).toEqual({
      code: 0,
      stdout:
        'published 0 interactions in 0 events; 1 were published before (--resend sends them again); batch import 1\n',
      stderr: '',
    });
    await running.stack.idle();
    const seen = await command(['inspect', 'hedy', '--json']);
    const expected = { userKey: userKey('hedy'), version: 1, rewards: 1, skillsVersion: 1 };
    expect(JSON.parse(seen.stdout)).toMatchObject(expected);
  });

  it('measures the effect of adapters on the episodes', async () => {
    const told = await command(['uplift', '--json']);
    expect(told).toMatchObject({ code: 0, stderr: '' });
    const uplift = JSON.parse(told.stdout);
    expect(uplift).toMatchObject({ users: 34, heldOutUsers: 0, reward: { mean: null } });
    const episodes = await running.episodes.recent(cellOf(SETTINGS), 5_000);
    expect(uplift.loss).toEqual(upliftOf(episodes).loss);
    expect(uplift.loss.low).toBeLessThan(uplift.loss.high);
    const { stdout } = await command(['uplift']);
    expect(stdout).toMatch(
      /^\d+ episodes of 34 users, 0 of them held out\nloss of predicted reward, adapters against none: [+-]\d/,
    );
    const other = await command(['uplift', '--cell', 'bayesian-r4-d17']);
    expect(other).toMatchObject({ code: 2, stderr: 'attune: found no episodes of cell bayesian-r4-d17\n' });
  });

  it('consolidates on demand', async () => {
    await publish('grace', 1);
    await running.stack.idle();
    const asked = await command(['consolidate', '--json']);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(asked.stdout) as ConsolidationReport;
    expect(report.status).toMatch(/^(consolidated|nothing-new)$/);
    const { code, stdout } = await command(['consolidate', '--if-due']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /^(too-little-new|nothing-new): \d+ new episodes, 0 of 0 skills; skills version \d+\n$/,
      ),
    });
  });

  it('accepts every character that an id may have, of users, items and events', async () => {
    const all: string[] = [];
    for (let code = 0xa0; code <= 0x10ffff; code++)
      if (code < 0xd800 || code > 0xdfff) all.push(String.fromCodePoint(code));
    for (let code = 0x20; code <= 0x7e; code++) all.push(String.fromCodePoint(code));
    const ids = Array.from({ length: Math.ceil(all.length / 128) }, (_, i) =>
      all.slice(i * 128, i * 128 + 128).join(''),
    );
    const line = (userId: string, itemId: string) =>
      JSON.stringify({ userId, itemId, embedding: encodeEmbedding(items[0]!), reward: 1 });
    const users = [
      ' ',
      '~',
      '\u00a0',
      '\u2028',
      '\u2029',
      '\ufeff',
      '\ue000',
      '\ufffd',
      '\ufffe',
      '\uffff',
      '😀',
      '\u{10ffff}',
    ];
    const file = [...ids.map((id, i) => line(`isa ${i % 10}`, id)), ...users.map((id) => line(id, id))].join(
      '\n',
    );
    const sent = await command(['publish', '-', '--batch-id', '😀\u2028\uffff', '--json'], file);
    // Slow machines see the progress on stderr.
    expect(sent.code).toBe(0);
    expect(JSON.parse(sent.stdout)).toMatchObject({ interactions: ids.length + users.length, failed: [] });
    await running.stack.idle();
    // An adapter knows its last 1,024 items.
    const keysOf = async (userId: string) => [
      ...((await running.adapters.load(userKey(userId)))?.adapter.recentItems?.keys ?? []),
    ];
    for (let user = 0; user < 10; user++) {
      const own = ids.filter((_, i) => i % 10 === user);
      expect(new Set(await keysOf(`isa ${user}`))).toEqual(new Set(own.map(itemKey)));
    }
    for (const id of users) {
      expect(await keysOf(id)).toEqual([itemKey(id)]);
      const asked = await personalize({ userId: id, candidates: [{ ...candidates[0], itemId: id }] });
      expect(asked.answer).toMatchObject({ userId: id, adapterVersion: 1, items: [{ itemId: id }] });
    }
  });

  it('answers mistakes at the command line with one line', async () => {
    const missing = await command(['inspect', 'nobody']);
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/^attune: user nobody: found no adapter[^\n]*\n$/);
    const wrong = await command(['personalize', '-', '--user', 'ada'], '{"embedding":[1]}');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toBe('attune: - line 1, embedding: found 1 numbers, expected 16 numbers\n');
    const short = await command(['basis', 'build', '-'], '{"embedding":[1]}');
    expect(short.stderr).toBe('attune: - line 1, embedding: found 1 numbers, expected 16 numbers\n');
  });
});
