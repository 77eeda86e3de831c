import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ConsolidationReport,
  consolidate,
  LEASE_MS,
} from '../../../functions/consolidate-patterns/consolidate.ts';
import { cellOf } from '../../../shared/episodes/episode.ts';
import type { PopulationModel } from '../../../shared/population/population-model.ts';
import { summaryOf } from '../../../shared/population/prior-summary.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { SETTINGS } from '../../support/container.ts';
import type { MemoryEpisodes } from '../../support/memory-episodes.ts';
import { createDeployment } from './deployment.ts';
import { INTERRUPTIONS, type Interruption, interruptAt, storesThrough } from './store-operations.ts';

type Deployment = Awaited<ReturnType<typeof createDeployment>>;

const CELL = cellOf(SETTINGS);
const SCHEDULED = { force: false, settleSeconds: 0 };
const DAY_MS = 86_400_000;
const USERS = 12;

/** There is a population model, and twice as many episodes as at its fit. */
async function withMoreFeedback(): Promise<Deployment> {
  const deployment = await createDeployment();
  await deployment.crowd(USERS);
  deployment.pass(1);
  await consolidate(deployment.services, SCHEDULED);
  for (let user = 0; user < USERS; user++) {
    for (const event of [2, 3]) await deployment.feedback(`user ${user}`, event);
  }
  deployment.pass(1);
  return deployment;
}

/** Nothing was consolidated yet, and enough interactions are buffered to make a basis. */
async function withoutBasis(): Promise<Deployment> {
  const deployment = await createDeployment({ withBasis: false });
  await deployment.crowd(USERS, 10);
  deployment.pass(1);
  return deployment;
}

/** There is a basis from feedback, and twice as many embeddings are available. */
async function withMoreEmbeddings(): Promise<Deployment> {
  const deployment = await withoutBasis();
  await consolidate(deployment.services, SCHEDULED);
  const { basisSample } = deployment.learning;
  const { embeddings, watermarks } = (await basisSample.refresh())!;
  const others = embeddings.map((embedding) => embedding.toReversed());
  await basisSample.write({ embeddings: [...embeddings, ...others], watermarks });
  for (let user = 0; user < USERS; user++) await deployment.feedback(`user ${user}`, 10);
  deployment.pass(DAY_MS);
  return deployment;
}

async function withPending(): Promise<Deployment> {
  const deployment = await withMoreFeedback();
  for (const user of [3, 7]) await deployment.feedback(`user ${user}`, 4, { late: true });
  deployment.pass(1);
  return deployment;
}

/**
 * Copies of one deployment, which is made once: tests need hundreds of the same, and making one
 * learns from dozens of events.
 */
function copiesOf(make: () => Promise<Deployment>): () => Promise<Deployment> {
  let made: Promise<Deployment> | undefined;
  return async () => {
    made ??= make();
    const { objects, episodes } = await made;
    const clock = { time: 0 };
    return createDeployment({
      withBasis: false,
      before: {
        clock,
        objects: objects.copy(),
        episodes: await (episodes as MemoryEpisodes).copyTo(clock),
      },
    });
  };
}

/** Runs until the given operation is interrupted. */
async function runInterrupted(deployment: Deployment, number: number, how: Interruption): Promise<void> {
  const { around, killed } = interruptAt(number, how);
  const services = deployment.container(storesThrough(deployment, around));
  await Promise.race([consolidate(services, SCHEDULED).catch(() => {}), killed]);
}

async function operationsOf(scenario: () => Promise<Deployment>): Promise<number> {
  const deployment = await scenario();
  const { around, operations } = interruptAt(-1, 'refused');
  await consolidate(deployment.container(storesThrough(deployment, around)), SCHEDULED);
  return operations();
}

const bytesInForce = ({ objects }: Deployment) => objects.contents.get(`skills/${CELL}`)?.body;

async function skillsInForce({ objects }: Deployment): Promise<PopulationModel> {
  return (await readSharedLearning(learningObjects(objects, SETTINGS), SETTINGS)).population;
}

/** Everything in the population model except its time. */
const timeless = ({ progress, ...population }: PopulationModel) => ({
  ...population,
  progress: { ...progress, at: 0 },
});

describe.each([
  ['on top of earlier skills', withMoreFeedback],
  ['making a basis', withoutBasis],
  ['making a better basis', withMoreEmbeddings],
])('a run %s that is interrupted at any operation', (_, make) => {
  const scenario = copiesOf(make);

  test.each(INTERRUPTIONS)(
    '%s: leaves the old or the new population model, and the next run ends like an undisturbed one',
    async (how) => {
      const undisturbed = await make();
      const before = bytesInForce(undisturbed);
      const report = await consolidate(undisturbed.services, SCHEDULED);
      expect(report).toMatchObject({ status: 'consolidated', basisLearned: make !== withMoreFeedback });
      expect(report.evidence).not.toBeNull();
      const after = bytesInForce(undisturbed);
      const expected = timeless(await skillsInForce(undisturbed));

      const operations = await operationsOf(scenario);
      expect(operations).toBeGreaterThan(USERS);
      for (let number = 0; number < operations; number++) {
        const deployment = await scenario();
        await runInterrupted(deployment, number, how);
        const found = bytesInForce(deployment);
        if (found !== before) expect([before, after]).toContainEqual(found);

        deployment.pass(LEASE_MS);
        const next = await consolidate(deployment.container(), SCHEDULED);
        expect(['consolidated', 'nothing-new']).toContain(next.status);
        const population = await skillsInForce(deployment);
        expect(timeless(population)).toEqual(expected);
        expect(await deployment.episodes.prior(CELL)).toEqual(summaryOf(population));
        expect(await deployment.episodes.cells()).toEqual([CELL]);
        deployment.pass(1);
        expect((await consolidate(deployment.container(), SCHEDULED)).status).toBe('nothing-new');
      }
    },
  );
});

test.each(INTERRUPTIONS)('%s: pending episodes are neither lost nor counted twice', async (how) => {
  const scenario = copiesOf(withPending);
  const operations = await operationsOf(scenario);
  for (let number = 0; number < operations; number++) {
    const deployment = await scenario();
    await runInterrupted(deployment, number, how);
    deployment.pass(LEASE_MS);
    await consolidate(deployment.container(), SCHEDULED);
    deployment.pass(DAY_MS);
    await consolidate(deployment.container(), SCHEDULED);

    expect([...deployment.objects.contents.keys()].filter((key) => key.startsWith('pending/'))).toEqual([]);
    const { items, progress } = await skillsInForce(deployment);
    expect(progress.episodes).toBe(4 * USERS + 2);
    // Every user meets items 0 to 19 once, and two users also meet items 20 to 24.
    const counts = [...items.sums.values()].map(({ count }) => count).sort((a, b) => b - a);
    expect(counts).toEqual([...Array(20).fill(USERS), ...Array(5).fill(2)]);
  }
});

test('a killed run blocks others until its lease expires, and no longer', async () => {
  const scenario = copiesOf(withMoreFeedback);
  const operations = await operationsOf(scenario);
  const held: ConsolidationReport['status'][] = [];
  for (let number = 0; number < operations; number++) {
    const deployment = await scenario();
    await runInterrupted(deployment, number, 'killed after');
    deployment.pass(LEASE_MS - 1);
    held.push((await consolidate(deployment.container(), SCHEDULED)).status);
    deployment.pass(1);
    expect((await consolidate(deployment.container(), SCHEDULED)).status).not.toBe('running');
  }
  // Three moments: before it takes the lease, while it holds the lease, and when it writes the
  // population model or releases the lease.
  expect(held.join(' ')).toMatch(/^(consolidated )+(running )+(nothing-new ?)+$/);
});

test('of two concurrent runs one consolidates, and new episodes count once', async () => {
  const undisturbed = await withMoreFeedback();
  await consolidate(undisturbed.services, SCHEDULED);
  const expected = await skillsInForce(undisturbed);
  const scenario = copiesOf(withMoreFeedback);
  const met = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.boolean(), async (scheduler, force) => {
      const deployment = await scenario();
      const run = (name: string) => {
        const stores = storesThrough(deployment, async (operation, proceed) => {
          await scheduler.schedule(Promise.resolve(), `${name}: ${operation}`);
          return proceed();
        });
        return consolidate(deployment.container(stores), { ...SCHEDULED, force });
      };
      const reports = await scheduler.waitFor(Promise.all([run('first'), run('second')]));
      const statuses = reports.map(({ status }) => status).sort();
      met.add(statuses.join(' and '));
      expect(statuses.filter((status) => status === 'consolidated')).toHaveLength(1);
      expect(await skillsInForce(deployment)).toEqual(expected);
      expect(await deployment.episodes.prior(CELL)).toEqual(summaryOf(expected));
    }),
    { numRuns: 60, seed: 5 },
  );
  expect([...met].sort()).toEqual(
    expect.arrayContaining(['consolidated and running', 'consolidated and superseded']),
  );
});
