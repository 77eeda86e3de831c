import { LEASE_MS } from '../../functions/consolidate-patterns/consolidate.ts';
import type { Template } from '../../infra/local/template.ts';
import { adapterKey } from '../../shared/adapters/adapter-store.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { isValidationUser } from '../../shared/population/validation-fold.ts';
import { DAMAGES } from '../support/damage.ts';
import { type DrillStack, type Met, SETTINGS } from './drill-stack.ts';

/** The drill of one article. */
export interface Drill {
  readonly article: string;
  /** The alarm that goes off; default: the one with the article's name. */
  readonly alarm?: string;
  /** The fault. */
  readonly fault: string;
  readonly start?: { readonly change?: (template: Template) => void; readonly concurrency?: number };
  readonly inject: (stack: DrillStack) => Promise<void>;
  /** Follows the article, and ends with an event that shows the effect. */
  readonly follow: (stack: DrillStack) => Promise<void>;
}

const cell = cellOf(SETTINGS);
const random = createRandom('runbook');
const items = Array.from({ length: 120 }, (_, i) => ({
  itemId: `item-${i}`,
  embedding: Array.from({ length: SETTINGS.embeddingDim }, () => random.normal()),
}));
const catalogue = items.map((item) => JSON.stringify(item)).join('\n');

const met = (item: number, reward: number): Met => ({ ...items[item % items.length]!, reward });
/** The reward of a user who likes the first number of an embedding. */
const honest = (item: number) => met(item, items[item % items.length]!.embedding[0]! > 0 ? 1 : 0.1);

/** The reward of a bot, for any item. */
const indifferent = (item: number) => met(item, 0.55 + 0.02 * Math.sin(item));

/** A deployment with a catalogue and users who have learned adapters. */
async function usual(stack: DrillStack, users: readonly string[] = ['ada', 'bob']): Promise<void> {
  await stack.quietly('catalogue', 'put', await stack.file('items.jsonl', catalogue));
  for (const user of users) await learn(stack, user, 'first');
  await stack.idle();
  await consolidated(stack);
  stack.nextPeriod();
}

/** Two events of a user. */
async function learn(stack: DrillStack, user: string, batch: string, opinion = honest): Promise<void> {
  const from = Number.parseInt(userKey(user).slice(0, 6), 16);
  for (const n of [0, 1]) {
    const chosen = Array.from({ length: 6 }, (_, i) => opinion((from + 6 * n + i) % items.length));
    await stack.publish(user, `${user}-${batch}-${n}`, chosen);
  }
}

/** Includes episodes of the last seconds. */
async function consolidated(stack: DrillStack): Promise<void> {
  await stack.invoke('consolidateFunctionName', { force: true, settleSeconds: 0 });
}

/** Consolidation leaves out the episodes of the last ten seconds. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 10_500));

async function damage(stack: DrillStack, key: string): Promise<void> {
  const { objects } = stack.stores;
  const found = await objects.get(key);
  if (typeof found !== 'object') throw new Error(`found nothing at ${key}`);
  await objects.put(key, DAMAGES['one bit flipped'](found.body), { ifMatch: found.etag });
}

/** The properties of the only resource whose logical id contains this text. */
function propertiesOf({ Resources }: Template, type: string, id = ''): Record<string, never> {
  const found = Object.entries(Resources).filter(
    ([logicalId, { Type }]) => Type === type && logicalId.includes(id),
  );
  if (found.length !== 1) throw new Error(`found ${found.length} of ${type} ${id}, expected one`);
  return found[0]![1].Properties as Record<string, never>;
}

/** Two failures are enough, and they come soon, so that a drill does not take ten minutes. */
function hasty(template: Template): void {
  const queue: Record<string, unknown> = propertiesOf(template, 'AWS::SQS::Queue', 'FeedbackQueue');
  queue.RedrivePolicy = { ...(queue.RedrivePolicy as object), maxReceiveCount: 2 };
}

/** A busy machine takes several times as long as an idle one. */
const LONGEST_MS = 5 * 60_000;

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LONGEST_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error('found no effect within five minutes');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const wentOff = (stack: DrillStack, alarm: string) => until(async () => (await stack.state(alarm)).breaches);

const FEEDBACK: readonly Drill[] = [
  {
    article: 'FeedbackDeadLetters',
    fault: 'the bucket answers 500; the queue gives up after two attempts',
    start: { change: hasty },
    async inject(stack) {
      await usual(stack);
      stack.faults.bucketDown = true;
      await stack.publish('ada', 'ada-fails', [honest(90)]);
      await wentOff(stack, 'FeedbackDeadLetters');
    },
    async follow(stack) {
      await stack.attune('dlq', 'list');
      stack.log();
      stack.note('the service is up again');
      stack.faults.bucketDown = false;
      await stack.attune('dlq', 'redrive', '--all');
      await stack.idle();
      await stack.attune('history', 'ada');
    },
  },
  {
    article: 'FeedbackAge',
    fault: 'nothing polls the queue, and twenty minutes pass',
    start: {
      change: (template) => {
        Object.assign(propertiesOf(template, 'AWS::Lambda::EventSourceMapping'), { Enabled: false });
      },
    },
    async inject(stack) {
      await stack.publish('ada', 'ada-waits', [honest(1)]);
      await stack.pass(20 * 60_000);
    },
    async follow(stack) {
      await stack.attune('doctor');
      stack.note('deploys again');
      await stack.restart();
      await stack.idle();
      await stack.attune('doctor');
    },
  },
  {
    article: 'FeedbackRefused',
    fault: 'a publisher sends embeddings of another length, and names items that the catalogue lacks',
    async inject(stack) {
      const long: Met = { itemId: 'x', embedding: new Array(32).fill(1), reward: 1 };
      for (let n = 0; n < 4; n++) await stack.publish('ada', `long-${n}`, [long]);
      for (let n = 0; n < 2; n++)
        await stack.publish('bob', `unknown-${n}`, [{ itemId: items[n]!.itemId, reward: 1 }]);
      await stack.idle();
    },
    async follow(stack) {
      await stack.attune('dlq', 'list', '--from', 'quarantine');
      const { stdout } = await stack.quietly('dlq', 'list', '--from', 'quarantine', '--json');
      await stack.attune('dlq', 'show', JSON.parse(stdout)[0].messageId);
      await stack.attune('catalogue', 'put', await stack.file('items.jsonl', catalogue));
      await stack.attune('dlq', 'redrive', '--from', 'quarantine', '--code', 'unknown-item');
      await stack.idle();
      stack.note('the publisher sends what it sent wrongly again, rightly');
      stack.nextPeriod();
      for (let n = 0; n < 4; n++) await stack.publish('ada', `right-${n}`, [honest(n)]);
      await stack.idle();
      await stack.attune('dlq', 'purge', '--from', 'quarantine', '--all');
      await stack.attune('inspect', 'bob');
    },
  },
  {
    article: 'FeedbackGivenBack',
    fault: 'update-adapters may not write adapters any more',
    start: {
      change: (template) => {
        const { PolicyDocument }: { PolicyDocument?: unknown } = propertiesOf(
          template,
          'AWS::IAM::Policy',
          'UpdateAdapters',
        );
        const { Statement } = PolicyDocument as { Statement: { Action: string | string[] }[] };
        for (const statement of Statement)
          statement.Action = [statement.Action]
            .flat()
            .map((action) => (action === 's3:PutObject' ? 's3:None' : action));
      },
    },
    async inject(stack) {
      await stack.publish('ada', 'ada-denied', [honest(1)]);
      await wentOff(stack, 'FeedbackGivenBack');
    },
    async follow(stack) {
      stack.log();
      stack.note('compares the role with the template, and deploys the template again');
      await stack.restart();
      await stack.idle();
      await stack.attune('history', 'ada');
    },
  },
  {
    article: 'BankDegraded',
    fault: 'the table throttles every request',
    async inject(stack) {
      await usual(stack);
      stack.faults.tableThrottled = true;
      await learn(stack, 'ada', 'throttled');
      await wentOff(stack, 'BankDegraded');
      await stack.idle();
    },
    async follow(stack) {
      stack.log();
      stack.note('raises tableMaxWriteUnits');
      stack.faults.tableThrottled = false;
      stack.nextPeriod();
      await stack.attune('consolidate', '--json');
      await learn(stack, 'ada', 'after');
      await stack.idle();
    },
  },
];

const OBJECTS: readonly Drill[] = [
  {
    article: 'CorruptObjects',
    fault: 'one bit of the basis and of an adapter is flipped',
    async inject(stack) {
      await usual(stack);
      await learn(stack, 'ada', 'second');
      await stack.idle();
      await damage(stack, `basis/${cell}`);
      await damage(stack, adapterKey(userKey('ada')));
      await stack.deployed();
      await stack.ask({ userId: 'ada', candidates: [{ embedding: items[0]!.embedding }] });
    },
    async follow(stack) {
      stack.log(3);
      await stack.attune('model', 'history', 'basis');
      const { stdout } = await stack.quietly('model', 'history', 'basis', '--json');
      const sound = JSON.parse(stdout).find(({ what }: { what: string }) => !/^(damaged|deleted)/.test(what));
      await stack.attune('model', 'rollback', 'basis', '--to', sound.versionId);
      await stack.attune('model', 'history', 'skills');
      await stack.attune('history', 'ada');
      const { stdout: versions } = await stack.quietly('history', 'ada', '--json');
      await stack.attune('rollback', 'ada', '--to', String(JSON.parse(versions).at(0).version));
      await stack.deployed();
      stack.nextPeriod();
      await stack.ask({ userId: 'ada', candidates: [{ embedding: items[0]!.embedding }] });
      await learn(stack, 'ada', 'third');
      await stack.idle();
      await stack.attune('inspect', 'ada');
    },
  },
  {
    article: 'RequestsFailed',
    fault: 'the bucket answers 500; then shards of the catalogue are damaged',
    async inject(stack) {
      await usual(stack);
      stack.faults.bucketDown = true;
      const { status, text } = await stack.ask({ action: 'recommend', userId: 'ada', limit: 3 });
      stack.note(`the URL answers ${status} ${text}`);
    },
    async follow(stack) {
      stack.log();
      stack.faults.bucketDown = false;
      for await (const { key } of stack.stores.objects.list('catalogue/shards/')) await damage(stack, key);
      const damaged = await stack.ask({ action: 'recommend', userId: 'ada', limit: 3 });
      stack.note(`S3 is up again, but shards are damaged; the URL answers ${damaged.status}`);
      stack.log();
      await stack.attune('catalogue', 'put', await stack.file('items.jsonl', catalogue), '--rewrite');
      await stack.deployed();
      stack.nextPeriod();
      const { status } = await stack.ask({ action: 'recommend', userId: 'ada', limit: 3 });
      stack.note(`the URL answers ${status}`);
    },
  },
];

/** The runs of the schedule, with retries after one and two minutes. */
async function scheduledRuns(stack: DrillStack, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) for (const part of [55, 2, 3]) await stack.pass(part * 60_000);
}

const CONSOLIDATION: readonly Drill[] = [
  {
    article: 'ConsolidationFailures',
    fault: 'the bucket answers 500 for an hour',
    async inject(stack) {
      await usual(stack);
      stack.faults.bucketDown = true;
      await scheduledRuns(stack, 2);
    },
    async follow(stack) {
      await stack.attune('dlq', 'list', '--from', 'consolidation');
      stack.log();
      stack.faults.bucketDown = false;
      await stack.attune('consolidate');
      await stack.attune('dlq', 'purge', '--from', 'consolidation', '--all');
    },
  },
  {
    article: 'ConsolidationMissed',
    fault: 'somebody disabled the schedule, and three hours pass',
    start: {
      change: (template) => {
        Object.assign(propertiesOf(template, 'AWS::Scheduler::Schedule'), { State: 'DISABLED' });
      },
    },
    async inject(stack) {
      await usual(stack);
      await scheduledRuns(stack, 3);
    },
    async follow(stack) {
      await stack.attune('consolidate');
      stack.note('enables the schedule');
      await stack.restart();
      await scheduledRuns(stack, 1);
    },
  },
  {
    article: 'ConsolidationIdle',
    fault: 'a run that died holds the lease',
    async inject(stack) {
      await usual(stack);
      const { objects } = stack.stores;
      const key = `consolidation/${cell}.lease`;
      const lease = Buffer.from(JSON.stringify({ expiresAt: Date.now() + LEASE_MS }));
      const held = await objects.get(key);
      await objects.put(
        key,
        lease,
        typeof held === 'object' ? { ifMatch: held.etag } : { ifNoneMatch: true },
      );
      for (let user = 0; user < 15; user++) await learn(stack, `user-${user}`, 'idle');
      await stack.idle();
      await settled();
      await scheduledRuns(stack, 1);
    },
    async follow(stack) {
      await stack.attune('consolidate', '--if-due');
      await stack.attune('consolidate');
    },
  },
  {
    article: 'PriorsRefused',
    fault: 'bots say the same of every item, and become more',
    async inject(stack) {
      await usual(stack, PEOPLE);
      for (const wave of [0, 1, 2]) {
        for (const bot of BOTS.slice(BOTS_A_WAVE * wave, BOTS_A_WAVE * (wave + 1)))
          await learn(stack, bot, 'bot', indifferent);
        await stack.idle();
        await consolidated(stack);
      }
    },
    async follow(stack) {
      await learn(stack, 'ada', 'meanwhile');
      await stack.idle();
      await settled();
      await stack.attune('consolidate');
      await stack.attune('model', 'show', 'skills');
      await stack.attune('uplift');
      await stack.attune('forget', BOTS[0]!, '--settle', '0');
      for (const bot of BOTS.slice(1)) await stack.quietly('forget', bot, '--settle', '0');
      await stack.attune('model', 'history', 'skills');
      const { stdout } = await stack.quietly('model', 'history', 'skills', '--json');
      await stack.attune('model', 'rollback', 'skills', '--to', JSON.parse(stdout).at(-1).versionId);
      stack.nextPeriod();
      await learn(stack, 'ada', 'afterwards');
      await stack.idle();
      await consolidated(stack);
    },
  },
];
const numbered = (name: string) => Array.from({ length: 1_000 }, (_, i) => `${name}-${i}`);
const isHeldOut = (user: string) => isValidationUser(userKey(user));
/** Half of them are in the validation fold, and none of these is a bot. */
const PEOPLE = [
  ...numbered('person').filter(isHeldOut).slice(0, 12),
  ...numbered('person')
    .filter((user) => !isHeldOut(user))
    .slice(0, 12),
];
const BOTS_A_WAVE = 12;
const BOTS = numbered('bot')
  .filter((user) => !isHeldOut(user))
  .slice(0, 3 * BOTS_A_WAVE);

const liked = items.filter(({ embedding }) => embedding[0]! > 0);

const PICKS: readonly Drill[] = [
  {
    article: 'PicksRankBadly',
    fault: 'another model under the same name turns every embedding round',
    async inject(stack) {
      const pick = (n: number) => ({ ...liked[n % liked.length]!, reward: 1 });
      await usual(stack, []);
      for (const [at, user] of PEOPLE.entries())
        for (const n of [0, 1])
          await stack.publish(
            user,
            `${user}-${n}`,
            Array.from({ length: 8 }, (_, i) => pick(at + 8 * n + i)),
          );
      await stack.idle();
      await consolidated(stack);
      await stack.deployed();
      stack.nextPeriod();
      for (const [at, user] of PEOPLE.entries()) {
        const turned = Array.from({ length: 8 }, (_, i) => {
          const { itemId, embedding, reward } = pick(at + 20 + i);
          return { itemId, embedding: embedding.map((x) => -x), reward };
        });
        await stack.publish(user, `${user}-turned`, turned);
      }
      await stack.idle();
      await consolidated(stack);
    },
    async follow(stack) {
      await learn(stack, PEOPLE[0]!, 'meanwhile', (item) => met(item, 1));
      await stack.idle();
      await settled();
      await stack.attune('consolidate', '--json');
      await stack.attune('inspect', PEOPLE[0]!, '--json');
      stack.note('mends the publisher, so that embeddings are those of the catalogue again');
      await stack.attune('basis', 'build', await stack.file('items.jsonl', catalogue), '--force');
      await stack.attune('history', PEOPLE[0]!);
      await stack.attune('rollback', PEOPLE[0]!, '--to', '2');
      for (const user of PEOPLE.slice(1)) await stack.quietly('rollback', user, '--to', '2');
      await stack.attune('model', 'history', 'skills');
      const { stdout } = await stack.quietly('model', 'history', 'skills', '--json');
      await stack.attune('model', 'rollback', 'skills', '--to', JSON.parse(stdout).at(-1).versionId);
      await stack.deployed();
      stack.nextPeriod();
      for (const user of PEOPLE) await learn(stack, user, 'right', (item) => met(item, 1));
      await stack.idle();
      await consolidated(stack);
    },
  },
];

const FUNCTIONS: readonly Drill[] = [
  {
    article: 'Errors',
    alarm: 'ConsolidatePatternsErrors',
    fault: 'the bucket answers 500',
    async inject(stack) {
      stack.faults.bucketDown = true;
      await scheduledRuns(stack, 1);
    },
    async follow(stack) {
      stack.log();
      stack.faults.bucketDown = false;
      stack.nextPeriod();
      await scheduledRuns(stack, 1);
    },
  },
  {
    article: 'Throttles',
    alarm: 'PersonalizeThrottles',
    fault: 'the account may run one function at once, and five requests come together',
    start: { concurrency: 1 },
    async inject(stack) {
      const request = { userId: 'ada', candidates: [{ embedding: items[0]!.embedding }] };
      await Promise.all(Array.from({ length: 5 }, () => stack.ask(request)));
    },
    async follow(stack) {
      await stack.attune('doctor');
      stack.note('Service Quotas grants ten at once');
      await stack.restart({ concurrency: 10 });
      const request = { userId: 'ada', candidates: [{ embedding: items[0]!.embedding }] };
      await Promise.all(Array.from({ length: 5 }, () => stack.ask(request)));
    },
  },
  {
    article: 'Duration',
    alarm: 'PersonalizeDuration',
    fault: 'S3 takes nine seconds for an answer',
    async inject(stack) {
      stack.faults.bucketSlow = true;
      const request = { userId: 'ada', candidates: [{ embedding: items[0]!.embedding }] };
      const { status } = await stack.ask(request);
      stack.note(`the URL answers ${status}`);
    },
    async follow(stack) {
      stack.log();
      stack.faults.bucketSlow = false;
      stack.nextPeriod();
      const { status } = await stack.ask({ userId: 'ada', candidates: [{ embedding: items[0]!.embedding }] });
      stack.note(`the URL answers ${status}`);
    },
  },
];

export const DRILLS: readonly Drill[] = [...FEEDBACK, ...OBJECTS, ...CONSOLIDATION, ...PICKS, ...FUNCTIONS];
