import { describe, expect, test } from 'vitest';
import {
  type ConsolidationReport,
  type ConsolidationServices,
  consolidate,
} from '../../../functions/consolidate-patterns/consolidate.ts';
import { adapterKey } from '../../../shared/adapters/adapter-store.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { cellOf, itemKey } from '../../../shared/episodes/episode.ts';
import { CorruptObjectError, InvalidInputError, UnavailableError } from '../../../shared/errors.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { carryOversTo } from '../../../shared/lora/carry-over.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { isValidationUser } from '../../../shared/population/validation-fold.ts';
import { StoredReasoningBank } from '../../../shared/reasoning-bank/stored-reasoning-bank.ts';
import { Lease } from '../../../shared/storage/lease.ts';
import { SETTINGS } from '../../support/container.ts';
import { createDeployment, FORCED, items } from './deployment.ts';
import { storesThrough } from './store-operations.ts';

describe('consolidation', () => {
  test('accepts a prior that predicts unseen users better, and counts every item', async () => {
    const { services, crowd, learning, pass } = await createDeployment();
    await crowd(40);
    pass(1);
    const report = await consolidate(services, FORCED);
    expect(report).toMatchObject({
      status: 'consolidated',
      newEpisodes: 80,
      skillsVersion: 1,
      priorAccepted: true,
    });
    expect(report.evidence!.users + report.evidence!.validationUsers).toBe(40);
    expect(report.evidence!.logLikelihoodAfter).toBeGreaterThan(report.evidence!.logLikelihoodBefore);
    const population = (await learning.population.refresh())!;
    expect(population.priorVersion).toBe(1);
    const { sums } = population.items;
    expect(sums.size).toBe(10);
    expect(sums.get(itemKey('item 0'))!.count).toBe(40);
  });

  test('explains in numbers why a part of the population model was not renewed', async () => {
    const { services, crowd, feedback, pass } = await createDeployment();
    await crowd(1);
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({
      skillsCreated: 1,
      considered: 3,
      rejected: [
        {
          what: 'population prior',
          why: '0 users to fit and 1 to validate, expected at least 1 of each',
        },
        { what: 'neighbours', why: 'no two items were picked together by two users' },
      ],
    });
    await feedback('user 0', 2, { withItems: false });
    pass(86_400_000);
    expect(await consolidate(services, { force: false, settleSeconds: 0 })).toMatchObject({
      skillsCreated: 0,
      considered: 2,
      rejected: [
        { what: 'population prior', why: '3 episodes, expected 22 for the next fit' },
        { what: 'item effects', why: "no user's first feedback on an item in 1 episodes" },
      ],
    });

    await crowd(40);
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({ skillsCreated: 3, rejected: [] });
    // Users outside the validation fold change their minds; users inside continue as before.
    for (let user = 0; user < 40; user++) {
      const inside = isValidationUser(userKey(`user ${user}`));
      for (let event = 3; event < 9; event++) {
        await feedback(`user ${user}`, event, inside ? {} : { reward: 0.3 });
      }
    }
    pass(1);
    const report = await consolidate(services, FORCED);
    const { logLikelihoodAfter: after, validationUsers } = report.evidence!;
    expect(report).toMatchObject({
      skillsCreated: 2,
      priorAccepted: false,
      rejected: [
        {
          what: 'population prior',
          why: expect.stringContaining(
            `log likelihood ${after.toFixed(6)} per reward of ${validationUsers} validation users, expected more than`,
          ),
        },
      ],
    });
  });

  test('runs through autoConsolidate of a bank, which returns its report', async () => {
    const { services, episodes, crowd, pass } = await createDeployment();
    await crowd(40);
    pass(1);
    const { learner, rank, embeddingDim } = SETTINGS;
    const bank = new StoredReasoningBank(episodes, {
      defaults: { learner, rank, embeddingDim },
      consolidate: () => consolidate(services, FORCED),
      now: services.now,
    });
    const task = `lora_adaptation_user_ada_rank_${rank}_samples_0`;
    expect((await bank.learnStrategy(task)).prior).toBeNull();
    expect(await bank.autoConsolidate()).toMatchObject({ skillsCreated: 3, considered: 3, rejected: [] });

    const { prior, recommendation, hints } = await bank.learnStrategy(task);
    const { evidence } = await consolidate(services, FORCED);
    expect(prior).toMatchObject({ skillsVersion: 1, priorVersion: 1, items: 10, episodes: 80, evidence });
    expect(evidence!.users + evidence!.validationUsers).toBe(40);
    expect(hints).toEqual([]);
    expect(recommendation).toContain(`New users start from what ${evidence!.users} users showed`);
  });

  test('does nothing when nothing is new, and continues after the last episode read', async () => {
    const { services, crowd, feedback, learning, pass } = await createDeployment();
    await crowd(12);
    pass(1);
    await consolidate(services, FORCED);
    const before = await learning.population.refresh();
    expect(await consolidate(services, FORCED)).toMatchObject({ status: 'nothing-new', skillsVersion: 1 });
    expect(await learning.population.refresh()).toEqual(before);
    await feedback('user 0', 2);
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({
      status: 'consolidated',
      newEpisodes: 1,
      skillsVersion: 2,
    });
    expect((await learning.population.refresh())!.progress.episodes).toBe(25);
  });

  test('counts new episodes of 20 users at once, those of fewer after a day, and fits when there are a quarter more', async () => {
    const { services, crowd, feedback, learning, pass } = await createDeployment();
    const run = async (after = 1) => {
      pass(after);
      const report = await consolidate(services, { force: false, settleSeconds: 0 });
      const { items, progress } = (await learning.population.refresh())!;
      const counted = [...items.sums.values()].reduce((sum, { count }) => sum + count, 0);
      return { ...report, counted, fittedEpisodes: progress.fittedEpisodes };
    };
    await crowd(80);
    const first = await run();
    expect(first).toMatchObject({ status: 'consolidated', fittedEpisodes: 160 });
    for (let user = 0; user < 19; user++) await feedback(`user ${user}`, 2);
    expect(await run()).toMatchObject({ status: 'too-little-new', newEpisodes: 19, skillsVersion: 1 });
    await feedback('user 19', 2);
    const second = await run();
    expect(second).toMatchObject({
      status: 'consolidated',
      newEpisodes: 20,
      skillsVersion: 2,
      fittedEpisodes: 160,
      evidence: null,
      rejected: [{ what: 'population prior', why: '180 episodes, expected 200 for the next fit' }],
    });
    expect(second.counted).toBeGreaterThan(first.counted);
    await feedback('user 0', 3);
    expect(await run()).toMatchObject({ status: 'too-little-new', newEpisodes: 1 });
    expect(await run(86_400_000)).toMatchObject({ status: 'consolidated', newEpisodes: 1 });
    for (let i = 4; i < 23; i++) await feedback('user 0', i);
    expect(await run()).toMatchObject({ newEpisodes: 19, skillsVersion: 4, fittedEpisodes: 200 });
  });

  test('reads as many episodes as fit into memory, and the others in the next run', async () => {
    const { services, crowd, learning, objects, episodes, pass } = await createDeployment();
    await crowd(1, 1);
    pass(1);
    await consolidate(services, FORCED);
    const population = (await learning.population.refresh())!;
    const [known] = await episodes.recent(cellOf(SETTINGS), 1);
    await learning.population.write({
      ...population,
      progress: { ...population.progress, episodes: 1_000_000 },
    });
    const backlog = 60_000;
    const waiting: ConsolidationServices['episodes'] = {
      ...storesThrough({ objects, episodes }, (_, run) => run()).episodes,
      async *after(_, [watermark = '']) {
        const taken = watermark.startsWith('~') ? Number(watermark.slice(1)) : 0;
        for (let version = taken + 1; version <= backlog; version++) {
          yield {
            episode: { ...known!, version },
            shard: 0,
            position: `~${String(version).padStart(9, '0')}`,
          };
        }
      },
    };
    await learning.population.refresh();
    const scheduled = () =>
      consolidate({ ...services, episodes: waiting }, { force: false, settleSeconds: 0 });
    expect(await scheduled()).toMatchObject({ status: 'consolidated', newEpisodes: 50_000 });
    expect(await scheduled()).toMatchObject({ status: 'too-little-new', newEpisodes: 10_000 });
  });

  test('leaves episodes of the last seconds to the next run', async () => {
    const { services, crowd, pass } = await createDeployment();
    await crowd(10);
    expect((await consolidate(services, { force: true, settleSeconds: 10 })).status).toBe('nothing-new');
    pass(10_001);
    expect((await consolidate(services, { force: true, settleSeconds: 10 })).newEpisodes).toBe(20);
  });

  test('stores pending episodes first, and only then removes them', async () => {
    const { services, feedback, objects, pass } = await createDeployment();
    await feedback('ada', 0, { late: true });
    const failing = {
      ...services,
      episodes: Object.assign(Object.create(services.episodes), {
        store: () => Promise.reject(new Error('down')),
      }),
    };
    await expect(consolidate(failing, FORCED)).rejects.toThrow('down');
    const waiting = () => [...objects.contents.keys()].filter((key) => key.startsWith('pending/'));
    expect(waiting()).toHaveLength(1);
    await consolidate(services, FORCED);
    pass(1);
    expect(waiting()).toEqual([]);
    expect(await consolidate(services, FORCED)).toMatchObject({ status: 'consolidated', newEpisodes: 1 });
  });

  test('stores at most 10,000 pending episodes, several at a time, and the rest in the next runs', async () => {
    const { services, feedback, objects } = await createDeployment();
    await feedback('ada', 0, { late: true });
    const [[key, stored]] = [...objects.contents].filter(([name]) => name.startsWith('pending/')) as [
      [string, { body: Uint8Array; etag: string }],
    ];
    const document = JSON.parse(Buffer.from(stored.body).toString());
    for (let version = 2; version <= 10_050; version++) {
      const body = Buffer.from(JSON.stringify({ ...document, version }));
      objects.contents.set(key.replace(/1$/, String(version)), { body, etag: `"${version}"` });
    }
    let underWay = 0;
    let most = 0;
    const store = async (episode: Episode) => {
      most = Math.max(most, ++underWay);
      await new Promise(setImmediate);
      underWay -= 1;
      return services.episodes.store(episode);
    };
    const slow = new Proxy(services.episodes, {
      get(target, name) {
        const member = name === 'store' ? store : Reflect.get(target, name);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    const drain = async () => (await consolidate({ ...services, episodes: slow }, FORCED)).pendingStored;
    const first = await drain();
    expect(first).toBeGreaterThanOrEqual(10_000);
    expect(first).toBeLessThan(10_000 + 16);
    expect(most).toBe(16);
    expect(await drain()).toBe(10_050 - first);
    expect(await drain()).toBe(0);
  });

  test('skips a pending episode that the table refuses for good, and stores the ones after it', async () => {
    const { services, feedback, objects, corrupt } = await createDeployment();
    await feedback('ada', 0, { late: true });
    await feedback('bob', 0, { late: true });
    const refused = userKey('ada');
    const store = (episode: Episode) =>
      episode.userKey === refused
        ? Promise.reject(new InvalidInputError('episode', 'ValidationException', 'a valid request'))
        : services.episodes.store(episode);
    const refusing = new Proxy(services.episodes, {
      get(target, name) {
        const member = name === 'store' ? store : Reflect.get(target, name);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    await consolidate({ ...services, episodes: refusing }, FORCED);
    const key = `pending/${refused}/1`;
    expect([...objects.contents.keys()].filter((name) => name.startsWith('pending/'))).toEqual([key]);
    expect(corrupt).toMatchObject([{ key, message: expect.stringContaining('ValidationException') }]);
    expect(await Array.fromAsync(services.episodes.ofUser(userKey('bob')))).toHaveLength(1);
  });

  test('skips corrupt objects and learns from all others', async () => {
    const { services, crowd, objects, corrupt, pass } = await createDeployment();
    await crowd(30);
    pass(1);
    const broken = adapterKey(userKey('user 3'));
    await objects.put(broken, objects.contents.get(broken)!.body.slice(0, 100));
    const garbage = [`pending/${userKey('x')}/1`, `pending/${userKey('y')}/1`];
    await objects.put(garbage[0]!, Buffer.from('garbage'));
    await objects.put(garbage[1]!, Buffer.from('{"residuals":""}'));
    expect(await consolidate(services, FORCED)).toMatchObject({ status: 'consolidated', newEpisodes: 60 });
    expect(corrupt.map(({ key }) => key).sort()).toEqual([broken, ...garbage].sort());
  });

  test('reports an unreadable episode once, and skips it in later runs', async () => {
    const { services, crowd, learning, objects, episodes, corrupt, pass } = await createDeployment();
    await crowd(1, 4);
    pass(1);
    const error = new CorruptObjectError('USER#x EPISODE#4', 'attribute loss is not a number');
    const damaged: ConsolidationServices['episodes'] = {
      ...storesThrough({ objects, episodes }, (_, run) => run()).episodes,
      async *after(...given) {
        for await (const found of episodes.after(...given)) {
          yield found.episode.version === 4 ? { ...found, episode: undefined, error } : found;
        }
      },
    };
    const run = () => consolidate({ ...services, episodes: damaged }, FORCED);
    expect(await run()).toMatchObject({ status: 'consolidated', newEpisodes: 3 });
    expect(corrupt).toEqual([error]);
    expect((await learning.population.refresh())!.progress.episodes).toBe(3);
    expect((await run()).status).toBe('nothing-new');
    expect(corrupt).toHaveLength(1);
  });

  test('changes nothing when another run wrote first', async () => {
    const { services, crowd, objects, learning, pass } = await createDeployment();
    await crowd(20);
    pass(1);
    const lease = { take: async () => true, release: async () => {} };
    const run = () =>
      consolidate({ ...services, lease, learning: learningObjects(objects, SETTINGS) }, FORCED);
    const reports = await Promise.all([run(), run()]);
    expect(reports.map(({ status }) => status).sort()).toEqual(['consolidated', 'superseded']);
    expect((await learning.population.refresh())!.progress.episodes).toBe(40);
  });

  test('leaves the work to the run with the lease, until the lease of a dead run expires', async () => {
    const { services, crowd, objects, pass } = await createDeployment();
    await crowd(20);
    pass(1);
    const dead = new Lease(objects, cellOf(SETTINGS));
    expect(await dead.take(services.now(), 5_000, false)).toBe(true);
    const scheduled = { force: false, settleSeconds: 0 };
    expect(await consolidate(services, scheduled)).toMatchObject({ status: 'running', skillsVersion: 0 });
    pass(5_000);
    expect(await consolidate(services, scheduled)).toMatchObject({
      status: 'consolidated',
      skillsVersion: 1,
    });
    expect(await dead.take(services.now(), 5_000, false)).toBe(true);
  });

  test('succeeds when it cannot release the lease, and an error of the run itself takes precedence', async () => {
    const { crowd, container, objects, episodes, pass } = await createDeployment();
    await crowd(20);
    pass(1);
    const lease = {
      take: async () => true,
      release: () => Promise.reject(new UnavailableError('the lease')),
    };
    const failing = storesThrough({ objects, episodes }, (operation, run) =>
      operation === 'query newcomers' ? Promise.reject(new UnavailableError('the bank')) : run(),
    );
    await expect(consolidate({ ...container(failing), lease }, FORCED)).rejects.toThrow('the bank');
    expect(await consolidate({ ...container(), lease }, FORCED)).toMatchObject({
      status: 'consolidated',
      skillsVersion: 1,
    });
  });

  test('runs on demand, whoever holds the lease', async () => {
    const { services, crowd, objects, pass } = await createDeployment();
    await crowd(20);
    pass(1);
    await new Lease(objects, cellOf(SETTINGS)).take(services.now(), 5_000, false);
    expect(await consolidate(services, FORCED)).toMatchObject({ status: 'consolidated' });
  });

  test('learns a basis from feedback without a catalogue, and trains buffered interactions', async () => {
    const { services, crowd, feedback, learning, adapters, pass } = await createDeployment({
      withBasis: false,
    });
    await crowd(9, 14);
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({ basisLearned: false });
    expect(await learning.basis.refresh()).toBeUndefined();

    await crowd(14, 14);
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({ basisLearned: true });
    const { basis } = (await learning.basis.refresh())!;
    expect(basis).toMatchObject({ embeddingDim: SETTINGS.embeddingDim, rank: SETTINGS.rank });
    await feedback('user 10', 14);
    const { state } = (await adapters.load(userKey('user 10')))!.adapter;
    expect(state).toMatchObject({ learner: 'bayesian', basisId: basis.id, buffered: [] });
    expect(state.learner === 'bayesian' && state.statistics.count).toBe(15 * 5);
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({ basisLearned: false });
    expect((await learning.basis.refresh())!.basis.id).toBe(basis.id);
  });

  test.each([
    { scalingFactor: 4, embeddingModel: SETTINGS.embeddingModel },
    { scalingFactor: SETTINGS.scalingFactor, embeddingModel: 'another' },
  ])(
    'replaces a basis of other settings, %o, once enough interactions are buffered, before a fit is due',
    async (other) => {
      const { services, crowd, feedback, learning, pass } = await createDeployment({ withBasis: false });
      const { scalingFactor, embeddingModel } = other;
      const basis = basisFromEmbeddings(items, { rank: SETTINGS.rank, scalingFactor, seed: 2 });
      await learning.basis.write({ basis, embeddingModel });
      await crowd(9, 60);
      pass(1);
      expect(await consolidate(services, FORCED)).toMatchObject({ basisLearned: false });
      expect((await learning.basis.refresh())!.basis.id).toBe(basis.id);

      await feedback('user 9', 0);
      pass(86_400_000);
      const scheduled = { force: false, settleSeconds: 0 };
      expect(await consolidate(services, scheduled)).toMatchObject({ newEpisodes: 1, basisLearned: true });
      const made = (await learning.basis.refresh())!;
      expect(made).toMatchObject({ embeddingModel: SETTINGS.embeddingModel, carryOvers: [] });
      expect(made.basis.scale).toBe(SETTINGS.scalingFactor / SETTINGS.rank);
      expect((await learning.population.refresh())!.prior.basisId).toBe(made.basis.id);
    },
  );

  test('stores no part of a user key in shared objects', async () => {
    const { services, crowd, objects, learning, pass } = await createDeployment({ withBasis: false });
    await crowd(14, 9);
    pass(1);
    await consolidate(services, FORCED);
    await crowd(60, 12);
    pass(1);
    await consolidate(services, FORCED);
    const { watermarks } = (await learning.basisSample.refresh())!;
    expect(watermarks.filter((position) => position !== '').length).toBeGreaterThan(10);
    expect((await learning.population.refresh())!.progress.watermarks.length).toBeGreaterThan(10);
    const shared = [...objects.contents].filter(([key]) => /^(skills|basis|consolidation)\//.test(key));
    expect(shared).toHaveLength(5);
    const users = Array.from({ length: 60 }, (_, user) => userKey(`user ${user}`));
    for (const [key, { body }] of shared) {
      const text = Buffer.from(body).toString('latin1');
      const parts = users.flatMap((user) => Array.from({ length: 55 }, (_, at) => user.slice(at, at + 10)));
      expect(
        parts.filter((part) => text.includes(part)),
        key,
      ).toEqual([]);
    }
  });

  test('learns the basis again from the embeddings that episodes carry, in one run with the prior under it', async () => {
    const { services, crowd, feedback, learning, adapters, pass } = await createDeployment({
      withBasis: false,
    });
    await crowd(14, 9);
    pass(1);
    await consolidate(services, FORCED);
    const first = (await learning.basis.refresh())!;
    expect(first.learnedFrom).toBe(630);
    const { embeddings, watermarks } = (await learning.basisSample.refresh())!;
    const collected = [...embeddings, ...embeddings.slice(0, 500)];
    await learning.basisSample.write({ embeddings: collected, watermarks });
    for (let event = 9; event < 60; event++) {
      for (let user = 0; user < 14; user++) await feedback(`user ${user}`, event);
    }
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({ basisLearned: true, priorAccepted: true });
    const { basis, learnedFrom, carryOvers } = (await learning.basis.refresh())!;
    expect(learnedFrom).toBeGreaterThanOrEqual(2 * 630);
    expect(carryOvers).toMatchObject([{ fromBasisId: first.basis.id }]);
    expect((await learning.population.refresh())!.prior.basisId).toBe(basis.id);
    expect((await readSharedLearning(learning, SETTINGS)).samplesEmbeddings).toBe(false);
    await feedback('user 3', 60);
    const { state } = (await adapters.load(userKey('user 3')))!.adapter;
    expect(state).toMatchObject({ basisId: basis.id, statistics: { count: 61 * 5 } });
  });

  test('fits a prior at once under a basis that was learned again, though none was due', async () => {
    const { services, crowd, feedback, learning, pass } = await createDeployment({ withBasis: false });
    await crowd(25, 7);
    pass(1);
    await consolidate(services, FORCED);
    const { embeddings, watermarks } = (await learning.basisSample.refresh())!;
    const others = embeddings.map((embedding) => embedding.toReversed());
    await learning.basisSample.write({ embeddings: [...embeddings, ...others], watermarks });
    await feedback('user 0', 7);
    pass(86_400_000);
    expect(await consolidate(services, { force: false, settleSeconds: 0 })).toMatchObject({
      newEpisodes: 1,
      basisLearned: true,
      priorAccepted: true,
    });
  });

  test('fits a prior at once when the basis was changed, though nothing is new', async () => {
    const { services, crowd, learning, pass } = await createDeployment();
    await crowd(40);
    pass(1);
    await consolidate(services, FORCED);
    const current = (await learning.basis.refresh())!;
    const basis = basisFromEmbeddings(items.slice(8), { rank: SETTINGS.rank, scalingFactor: 1, seed: 2 });
    const carryOvers = carryOversTo(basis, current, items);
    await learning.basis.write({ basis, embeddingModel: SETTINGS.embeddingModel, carryOvers });
    const between = await readSharedLearning(learning, SETTINGS);
    expect([...between.model.prior.mean].every((value) => value === 0)).toBe(true);
    const scheduled = { force: false, settleSeconds: 0 };
    expect(await consolidate(services, scheduled)).toMatchObject({
      status: 'consolidated',
      newEpisodes: 0,
      priorAccepted: true,
      evidence: { interactions: expect.any(Number) },
    });
    const { prior, items: effects } = (await learning.population.refresh())!;
    expect(prior.basisId).toBe(basis.id);
    expect(prior.mean.some((value) => value !== 0)).toBe(true);
    expect(effects.sums.size).toBe(10);
    expect((await consolidate(services, scheduled)).status).toBe('nothing-new');
  });

  test('excludes users under an unknown basis from the fit', async () => {
    const { services, crowd, learning, pass } = await createDeployment();
    await crowd(40);
    const basis = basisFromEmbeddings(items.slice(8), { rank: SETTINGS.rank, scalingFactor: 1, seed: 2 });
    await learning.basis.write({ basis, embeddingModel: SETTINGS.embeddingModel });
    pass(1);
    expect(await consolidate(services, FORCED)).toMatchObject({ status: 'consolidated', evidence: null });
  });

  test('does nothing without users to fit a missing prior to, and fits one as soon as there are some', async () => {
    const { services, crowd, feedback, learning, pass } = await createDeployment();
    await crowd(40, 4);
    pass(1);
    await consolidate(services, FORCED);
    const basis = basisFromEmbeddings(items.slice(8), { rank: SETTINGS.rank, scalingFactor: 1, seed: 2 });
    await learning.basis.refresh();
    await learning.basis.write({ basis, embeddingModel: SETTINGS.embeddingModel });
    const scheduled = () => consolidate(services, { force: false, settleSeconds: 0 });
    const why = '0 users to fit and 0 to validate, expected at least 1 of each';
    for (const _ of [1, 2]) {
      expect(await scheduled()).toMatchObject({
        status: 'nothing-new',
        skillsVersion: 1,
        rejected: [{ what: 'population prior', why }],
      });
    }
    await feedback('user 1', 4);
    pass(1);
    expect(await scheduled()).toMatchObject({ status: 'consolidated', newEpisodes: 1, evidence: null });
    for (let user = 2; user < 27; user++) await feedback(`user ${user}`, 4);
    pass(1);
    const { status, newEpisodes, evidence } = await scheduled();
    expect({ status, newEpisodes }).toEqual({ status: 'consolidated', newEpisodes: 25 });
    expect(evidence!.users + evidence!.validationUsers).toBe(26);
    expect((await learning.population.refresh())!.prior.basisId).toBe(basis.id);
    expect((await scheduled()).status).toBe('nothing-new');
  });
});

describe('users to learn from', () => {
  const sampled = ({ evidence }: ConsolidationReport) => evidence!.users + evidence!.validationUsers;

  test('are active users when all first episodes have expired', async () => {
    const { services, crowd, feedback, episodes, pass } = await createDeployment();
    await crowd(40, 1);
    pass((SETTINGS.episodeTtlDays + 1) * 86_400_000);
    for (let user = 0; user < 40; user++) await feedback(`user ${user}`, 1);
    await feedback('somebody new', 0);
    pass(1);
    expect(await episodes.newcomers(cellOf(SETTINGS), 100)).toEqual([userKey('somebody new')]);
    const report = await consolidate(services, FORCED);
    expect(report.priorAccepted).toBe(true);
    expect(sampled(report)).toBe(41);
  });

  test('include users who continue in another cell, for a first basis and a prior', async () => {
    const before = await createDeployment();
    await before.crowd(40, 2);
    const settings = { ...SETTINGS, rank: 4 };
    const { services, feedback, pass } = await createDeployment({ withBasis: false, settings, before });
    for (let event = 2; event < 7; event++) {
      for (let user = 0; user < 40; user++) await feedback(`user ${user}`, event);
    }
    pass(1);
    const report = await consolidate(services, FORCED);
    expect(report).toMatchObject({ basisLearned: true, priorAccepted: true });
    expect(sampled(report)).toBe(40);
  });

  test('are users with buffered interactions when there is no basis, before new users who never returned', async () => {
    const before = await createDeployment();
    await before.crowd(300, 1);
    for (let user = 0; user < 300; user++) await before.feedback(`late ${user}`, 0);
    before.pass(1);
    await consolidate(before.services, FORCED);
    const settings = { ...SETTINGS, embeddingModel: 'another' };
    const after = await createDeployment({ withBasis: false, settings, before });
    for (let event = 1; event < 5; event++) {
      for (let user = 0; user < 300; user++) await after.feedback(`user ${user}`, event);
    }
    after.pass(1);
    const report = await consolidate(after.services, FORCED);
    expect(report).toMatchObject({ basisLearned: true, priorAccepted: true });
    expect(report.evidence!.users).toBeGreaterThan(150);
  });

  test('are only the newest users when there are enough', async () => {
    const { services, crowd, objects, episodes, pass } = await createDeployment();
    await crowd(20);
    pass(1);
    const met: string[] = [];
    const stores = storesThrough({ objects, episodes }, (operation, run) => {
      met.push(operation);
      return run();
    });
    const came = Array.from({ length: 2_000 }, (_, user) => userKey(`user ${user < 10 ? user : -user}`));
    const newcomers = async () => came;
    const report = await consolidate({ ...services, episodes: { ...stores.episodes, newcomers } }, FORCED);
    expect(sampled(report)).toBe(10);
    expect(met).not.toContain('query the newest episodes');
  });
});

test('skills of autoConsolidate outlast consolidation with another learner', async () => {
  const settings = { ...SETTINGS, learner: 'sgd' as const, exploration: 0.5 };
  const { services, episodes, crowd, pass } = await createDeployment({ settings });
  await crowd(40, 3);
  pass(1);
  const { learner, rank, embeddingDim } = settings;
  const bank = new StoredReasoningBank(episodes, {
    defaults: { learner, rank, embeddingDim },
    now: services.now,
  });
  const { skillsCreated } = await bank.autoConsolidate(1, 0, 30);
  expect(skillsCreated).toBeGreaterThan(0);
  await consolidate(services, FORCED);
  expect((await bank.stats()).skills).toBe(skillsCreated);
});
