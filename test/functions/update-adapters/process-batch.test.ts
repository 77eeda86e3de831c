import { beforeEach, expect, test } from 'vitest';
import { type FeedbackMessage, processBatch } from '../../../functions/update-adapters/process-batch.ts';
import { eventKey } from '../../../shared/adapters/recent-events.ts';
import { CatalogueWriter } from '../../../shared/catalogue/catalogue-writer.ts';
import { parseItem } from '../../../shared/catalogue/item.ts';
import { PREFIX } from '../../../shared/config/names.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import { UnavailableError } from '../../../shared/errors.ts';
import { encodeFeedbackEvent, type InteractionInput } from '../../../shared/feedback/event.ts';
import type { QuarantinedMessage } from '../../../shared/feedback/quarantine.ts';
import { Container, createWorld, type Fault, type World } from '../../support/container.ts';
import { ITEMS, message, poison } from '../../support/feedback-events.ts';

let world: World;

beforeEach(() => {
  world = createWorld(ITEMS);
});

function container(script: Record<string, Fault[]> = {}): Container {
  return new Container(world, (call) => script[call]?.shift() ?? 'none');
}

function process(on: Container, ...messages: FeedbackMessage[]) {
  return processBatch(messages, { ...on.services, signal: on.time.signal });
}

async function appliedOf(userId: string): Promise<bigint[]> {
  return [...((await world.adapters.load(userKey(userId)))?.adapter.recentEvents ?? [])];
}

test('all new events of a user are one commit, whatever other messages are between them', async () => {
  const on = container();
  const report = await process(
    on,
    message('a1'),
    message('b1', { userId: 'bob' }),
    message('a2'),
    message('a3'),
  );
  expect(report.updates).toBe(2);
  expect(on.calls.filter((call) => call === 'put adapters/')).toHaveLength(2);
  expect(await appliedOf('ada')).toEqual(['a1', 'a2', 'a3'].map(eventKey));
});

test('an event that is twice in a batch is applied once', async () => {
  const report = await process(
    container(),
    message('a1'),
    { ...message('a1'), messageId: 'again' },
    message('a2'),
  );
  expect(report).toMatchObject({ failed: [], duplicates: 1 });
  expect(await appliedOf('ada')).toEqual(['a1', 'a2'].map(eventKey));
});

test('a bad event goes to quarantine with its body untouched, and the events around it are applied', async () => {
  const bad = poison('bad');
  const report = await process(container(), message('a1'), bad, message('a2'));
  expect(report).toMatchObject({ failed: [], quarantined: [{ messageId: 'bad', code: 'schema' }] });
  expect(await appliedOf('ada')).toEqual(['a1', 'a2'].map(eventKey));
  expect(world.objects.documents<QuarantinedMessage>(PREFIX.quarantine)).toEqual([
    {
      messageId: 'bad',
      userKey: userKey('ada'),
      code: 'schema',
      reason: expect.stringContaining('expected'),
      messageGroupId: userKey('ada'),
      sentAt: 900,
      quarantinedAt: 1_000,
      body: bad.body,
    },
  ]);
});

const film = { itemId: 'film', reward: 1 };

/** A message with one interaction. */
function of(eventId: string, userId: string, interaction: InteractionInput): FeedbackMessage {
  const occurredAt = '2026-03-01T12:00:00Z';
  const body = encodeFeedbackEvent({ eventId, userId, occurredAt, interactions: [interaction] });
  return { messageId: `message of ${eventId}`, groupId: userKey(userId), sentAt: 900, body };
}

test('an event that names an item by id alone is learned with the embedding of the catalogue', async () => {
  const [embedding] = ITEMS;
  const settings = container().services.settings;
  const writer = new CatalogueWriter(world.objects, settings, { basis: null, now: () => 0 });
  const item = parseItem({ itemId: 'film', embedding: [...embedding!] }, settings.embeddingDim, 'item');

  const unknown = await process(container(), of('a1', 'ada', film));
  expect(unknown).toMatchObject({ failed: [], quarantined: [{ code: 'unknown-item' }] });

  await writer.put([item]);
  const report = await process(container(), of('a1', 'ada', film));
  expect(report).toMatchObject({ failed: [], quarantined: [], updates: 1 });
  const given = { itemId: 'film', reward: 1, embedding: [...item.embedding] };
  await process(container(), of('b1', 'bob', given));
  const stateOf = async (userId: string) => (await world.adapters.load(userKey(userId)))!.adapter.state;
  expect(await stateOf('ada')).toEqual(await stateOf('bob'));
});

test('while the catalogue is unreadable, events that need it wait, and those of other users do not', async () => {
  const on = container({ 'get catalogue/': ['unavailable', 'unavailable', 'unavailable'] });
  const report = await process(on, of('a1', 'ada', film), message('a2'), message('b1', { userId: 'bob' }));
  expect(report.failed).toEqual(['message of a1', 'message of a2']);
  expect(await appliedOf('bob')).toEqual([eventKey('b1')]);
  expect(await appliedOf('ada')).toEqual([]);
});

test('an event in the message group of another user is quarantined, because two groups have no order', async () => {
  const report = await process(container(), { ...message('a1'), groupId: userKey('bob') });
  expect(report.quarantined).toEqual([{ messageId: 'message of a1', code: 'message-group' }]);
  expect(await appliedOf('ada')).toEqual([]);
});

test('a failed quarantine stops its user: earlier events are applied, later ones wait', async () => {
  const on = container({ 'put quarantine/': ['unavailable'] });
  const report = await process(
    on,
    message('a1'),
    poison('bad'),
    message('a2'),
    message('b1', { userId: 'bob' }),
  );
  expect(report.failed).toEqual(['bad', 'message of a2']);
  expect(await appliedOf('ada')).toEqual(['a1'].map(eventKey));
  expect(await appliedOf('bob')).toEqual(['b1'].map(eventKey));
});

test('a commit that fails returns all messages of its user and of no other', async () => {
  const on = container({ 'put adapters/': ['unavailable'] });
  const report = await process(on, message('a1'), message('b1', { userId: 'bob' }), message('a2'));
  expect(report.failed).toEqual(['message of a1', 'message of a2']);
  expect(await appliedOf('bob')).toEqual(['b1'].map(eventKey));
  expect(on.failures).toEqual([expect.any(UnavailableError)]);
});

test('a failed commit also returns the messages after a failed quarantine, in order', async () => {
  const on = container({ 'put adapters/': ['unavailable'], 'put quarantine/': ['unavailable'] });
  const report = await process(on, message('a1'), poison('bad'), message('a2'));
  expect(report.failed).toEqual(['message of a1', 'bad', 'message of a2']);
});

test('messages that are unprocessed at the deadline are returned, but not those of finished users', async () => {
  const on = container({ 'put adapters/': ['hang'] });
  const report = await process(on, message('a1'), message('a2'));
  expect(report.failed).toEqual(['message of a1', 'message of a2']);
  expect(report.updates).toBe(0);
});

test('a batch that starts after the deadline is returned untouched', async () => {
  const on = container();
  on.time.abort(new UnavailableError('the time is up'));
  const report = await process(on, poison('bad'), message('a1'), message('b1', { userId: 'bob' }));
  expect(report.failed).toEqual(['bad', 'message of a1', 'message of b1']);
  expect(on.calls).toEqual([]);
});

test('an event that cannot be learned because the basis cannot be read is returned', async () => {
  const on = container();
  const learning = async () => {
    throw new UnavailableError('no basis');
  };
  const report = await processBatch([message('a1')], { ...on.services, learning, signal: on.time.signal });
  expect(report.failed).toEqual(['message of a1']);
});

test('an event of a forgotten user is not stored, not even an invalid one', async () => {
  await world.adapters.bury({ userKey: userKey('ada'), forgottenAt: 500, expiresAt: 2_000 }, undefined);
  const report = await process(container(), poison('bad'), message('a1'));
  expect(report).toMatchObject({ failed: [], quarantined: [], forgotten: 2, updates: 0 });
  expect(world.objects.documents(PREFIX.quarantine)).toEqual([]);
});

test('delays are counted from sending, and never below zero when clocks differ', async () => {
  const report = await process(container(), message('a1'), {
    ...message('b1', { userId: 'bob' }),
    sentAt: 5_000,
  });
  expect(report.applied.map(({ delayMs }) => delayMs)).toEqual([100, 0]);
});

test('a redelivered invalid event does not change its copy in quarantine', async () => {
  await process(container(), poison('bad'));
  const later = new Container(
    world,
    () => 'none',
    () => 9_000,
  );
  const report = await process(later, poison('bad'));
  expect(report.quarantined).toHaveLength(1);
  const kept = world.objects.documents<QuarantinedMessage>(PREFIX.quarantine);
  expect(kept.map(({ quarantinedAt }) => quarantinedAt)).toEqual([1_000]);
});
