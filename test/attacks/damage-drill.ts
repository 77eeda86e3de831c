/**
 * Damages one object of every kind in every way, runs the command of docs/recovery.md, and checks
 * the result. Prints a transcript, and ends with exit code 1 when something was not restored. `npm
 * run drill`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LEASE_MS } from '../../functions/consolidate-patterns/consolidate.ts';
import { adapterKey } from '../../shared/adapters/adapter-store.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import type { Neighbours } from '../../shared/lora/neighbours.ts';
import { createRandom } from '../../shared/lora/random.ts';
import type { BasisSample } from '../../shared/population/basis-sample-object.ts';
import { initialPopulationModel } from '../../shared/population/population-model.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { Lease } from '../../shared/storage/lease.ts';
import { DAMAGES } from '../support/damage.ts';
import { startRecordsStack } from '../support/records-stack.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm', rank: 2, scalingFactor: 1, learner: 'bayesian' };
const cell = cellOf(SETTINGS);
const random = createRandom('damage drill');
const catalogue = Array.from({ length: 200 }, (_, i) =>
  JSON.stringify({ itemId: `item ${i}`, embedding: Array.from({ length: 16 }, () => random.normal()) }),
).join('\n');

const NEIGHBOURS: Neighbours = {
  keys: new BigUint64Array([1n, 2n]),
  ends: new Uint32Array([1, 2]),
  neighbours: new Uint32Array([1, 0]),
  weights: new Float16Array([0.5, 0.5]),
};
const SAMPLE: BasisSample = { embeddings: [new Float16Array(16).fill(0.25)], watermarks: [] };

type Damage = 'one bit flipped' | 'truncated' | 'deleted' | "replaced by another's";
const WAYS: readonly Damage[] = ['one bit flipped', 'truncated', 'deleted', "replaced by another's"];

interface Drill {
  readonly object: string;
  readonly key: () => Promise<string> | string;
  /** Whose bytes take its place. */
  readonly another: () => Promise<string> | string;
  /** The documented commands. */
  readonly mend: (way: Damage) => Promise<void>;
  /** Whether all is well. */
  readonly isWell: () => Promise<boolean>;
}

const stack = await startRecordsStack(SETTINGS);
const { objects, adapters } = stack;
let failures = 0;
const say = (line: string) => process.stdout.write(`${line}\n`);

async function attune(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await stack.attune(args, catalogue);
  const last = (stdout || stderr).trim().split('\n').at(-1)?.slice(0, 140) ?? '';
  say(`    $ attune ${args.map((arg) => (arg.length > 30 ? `${arg.slice(0, 12)}…` : arg)).join(' ')}`);
  say(`      ${code === 0 ? '' : `exit code ${code}: `}${last}`);
  return stdout;
}

async function damage(key: string, way: Damage, another: string): Promise<void> {
  const found = await objects.get(key);
  if (typeof found !== 'object') throw new Error(`nothing at ${key}`);
  if (way === 'deleted') return objects.delete(key);
  const other = way === "replaced by another's" ? await objects.get(another) : undefined;
  const bytes = typeof other === 'object' ? other.body : DAMAGES[way as keyof typeof DAMAGES](found.body);
  await objects.put(key, bytes, { ifMatch: found.etag });
}

/** The newest undamaged version of a part of the model. */
async function soundVersion(part: string): Promise<string> {
  const versions = JSON.parse((await stack.attune(['model', 'history', part, '--json'])).stdout);
  return versions.find(({ what }: { what: string }) => !/^(damaged|deleted)/.test(what)).versionId;
}

const ofCatalogue = async (suffix: string) => {
  const keys = (await Array.fromAsync(objects.list('catalogue/'))).map(({ key }) => key);
  return keys.find((key) => key.endsWith(suffix) || key.startsWith(suffix))!;
};
const learning = () => learningObjects(objects, SETTINGS);
const isSound = async (part: 'basis' | 'population') => {
  const object = learning()[part];
  return (await object.refresh()) !== undefined && object.damage === undefined;
};
const catalogueIsWell = async () => {
  const basis = (await learning().basis.refresh())?.basis ?? null;
  let damaged = false;
  const reader = new CatalogueReader(objects, SETTINGS, { onDamage: () => (damaged = true) });
  const loaded = await reader.load(basis);
  if (loaded === undefined || loaded.items !== 200) return false;
  await reader.embeddingAt(loaded, { shard: 0, row: 0 });
  return !damaged;
};
const ada = adapterKey(userKey('ada'));
const file = join(stack.folder('drill'), 'items.jsonl');
writeFileSync(file, catalogue);

const DRILLS: readonly Drill[] = [
  {
    object: 'adapter with earlier versions',
    key: () => ada,
    another: () => adapterKey(userKey('bob')),
    async mend(way) {
      if (way === 'deleted') return void (await attune('restore', '--deleted-since', '2020-01-01'));
      const history = JSON.parse((await stack.attune(['history', 'ada', '--json'])).stdout);
      await attune('rollback', 'ada', '--to', String(history[0].version));
    },
    isWell: async () => (await adapters.find(userKey('ada'))).adapter !== undefined,
  },
  {
    object: 'adapter without earlier versions',
    key: async () => {
      for (const { versionId } of await Array.fromAsync(objects.versions(adapterKey(userKey('solo')))))
        await objects.delete(adapterKey(userKey('solo')), { versionId });
      await stack.learn('solo', 1);
      return adapterKey(userKey('solo'));
    },
    another: () => adapterKey(userKey('bob')),
    async mend(way) {
      const [newest, ...earlier] = await Array.fromAsync(objects.versions(adapterKey(userKey('solo'))));
      // Objects from before the damage that are missing count as lost.
      if (way !== 'deleted')
        for (const { versionId } of earlier) await objects.delete(adapterKey(userKey('solo')), { versionId });
      if (newest === undefined) throw new Error('nothing there');
      if (way === 'deleted') await attune('restore', '--deleted-since', '2020-01-01');
      else await attune('rollback', 'solo', '--to', '0');
    },
    isWell: async () => {
      await stack.learn('solo', 1, `again ${Math.random()}`);
      return (await adapters.find(userKey('solo'))).adapter !== undefined;
    },
  },
  {
    object: 'tombstone',
    key: async () => {
      await stack.attune(['forget', 'gone', '--settle', '0', '--tombstone']);
      return adapterKey(userKey('gone'));
    },
    another: () => adapterKey(userKey('bob')),
    mend: async () => void (await attune('forget', 'gone', '--settle', '0', '--tombstone')),
    isWell: async () => (await adapters.find(userKey('gone'))).tombstone !== undefined,
  },
  {
    object: 'basis',
    key: () => `basis/${cell}`,
    another: () => ada,
    mend: async () => void (await attune('model', 'rollback', 'basis', '--to', await soundVersion('basis'))),
    isWell: () => isSound('basis'),
  },
  {
    object: 'basis, built anew',
    key: () => `basis/${cell}`,
    another: () => ada,
    mend: async () => void (await attune('basis', 'build', '-')),
    isWell: () => isSound('basis'),
  },
  {
    object: 'skills',
    key: () => `skills/${cell}`,
    another: () => `basis/${cell}`,
    mend: async () =>
      void (await attune('model', 'rollback', 'skills', '--to', await soundVersion('skills'))),
    isWell: () => isSound('population'),
  },
  {
    object: 'manifest of the catalogue',
    key: () => 'catalogue/manifest',
    another: () => ada,
    mend: async () => void (await attune('catalogue', 'put', file)),
    isWell: catalogueIsWell,
  },
  ...['.items', '.embeddings', 'catalogue/features/'].map(
    (suffix): Drill => ({
      object: suffix.startsWith('.') ? `shard, ${suffix}` : 'features of a shard',
      key: () => ofCatalogue(suffix),
      another: () => ada,
      mend: async () => void (await attune('catalogue', 'put', file, '--rewrite')),
      isWell: catalogueIsWell,
    }),
  ),
  {
    object: 'lists of neighbours',
    key: () => `skills/${cell}.neighbours`,
    another: () => `skills/${cell}`,
    async mend() {
      const { neighbours } = learning();
      await neighbours.refresh();
      say(`    the next fit replaces it; until then: ${neighbours.damage?.message ?? 'there is none'}`);
      await neighbours.write(NEIGHBOURS);
    },
    isWell: async () => (await learning().neighbours.refresh())?.keys.length === NEIGHBOURS.keys.length,
  },
  {
    object: 'sample of embeddings',
    key: () => `consolidation/${cell}.sample`,
    another: () => `skills/${cell}`,
    async mend() {
      const { basisSample } = learning();
      await basisSample.refresh();
      say(`    the next run replaces it; until then: ${basisSample.damage?.message ?? 'there is none'}`);
      await basisSample.write(SAMPLE);
    },
    isWell: async () => (await learning().basisSample.refresh())?.embeddings.length === 1,
  },
  {
    object: 'lease',
    key: async () => {
      const lease = new Lease(objects, cell);
      await lease.take(Date.now(), LEASE_MS, true);
      return `consolidation/${cell}.lease`;
    },
    another: () => `skills/${cell}`,
    async mend() {
      say('    no run waits for it');
    },
    isWell: () => new Lease(objects, cell).take(Date.now(), LEASE_MS, false),
  },
  {
    object: 'message in quarantine',
    key: async () => {
      const key = `quarantine/${userKey('ada')}/m`;
      await objects.delete(key);
      await stack.quarantine.put({
        messageId: 'm',
        userKey: userKey('ada'),
        code: 'schema',
        reason: '',
        messageGroupId: userKey('ada'),
        sentAt: 1,
        quarantinedAt: 2,
        body: '{}',
      });
      return key;
    },
    another: () => ada,
    mend: async () => void (await attune('dlq', 'purge', '--all')),
    isWell: async () => (await Array.fromAsync(stack.quarantine.all())).length === 0,
  },
  {
    object: 'pending episode',
    key: async () => {
      const { adapter } = await adapters.find(userKey('bob'));
      await stack.pending.put({ ...adapter!.lastEpisode!, version: 77 });
      return `pending/${userKey('bob')}/77`;
    },
    another: () => ada,
    async mend() {
      const names = (await Array.fromAsync(stack.pending.list())).map(
        ({ error }) => error?.message ?? 'sound',
      );
      say(`    consolidation passes it over and reports: ${names[0] ?? 'nothing, it is not there'}`);
      await objects.delete(`pending/${userKey('bob')}/77`);
    },
    isWell: async () => (await Array.fromAsync(stack.pending.keys())).length === 0,
  },
];

async function drill({ object, key, another, mend, isWell }: Drill, way: Damage): Promise<void> {
  say(`  ${object}: ${way}`);
  try {
    await damage(await key(), way, await another());
    await mend(way);
    const well = await isWell();
    failures += well ? 0 : 1;
    say(`    ${well ? 'well again' : 'NOT WELL'}`);
  } catch (error) {
    failures += 1;
    say(`    NOT WELL: ${error instanceof Error ? error.message : String(error)}`);
  }
}

try {
  for (const user of ['ada', 'bob']) await stack.learn(user, 3);
  await stack.attune(['catalogue', 'put', file]);
  for (const version of [1, 2])
    await learning()
      .population.refresh()
      .then(async () => {
        const { population } = learning();
        await population.refresh();
        await population.write({ ...initialPopulationModel(null), version });
      });
  const { neighbours, basisSample } = learning();
  await neighbours.refresh();
  await neighbours.write(NEIGHBOURS);
  await basisSample.refresh();
  await basisSample.write(SAMPLE);
  for (const each of DRILLS) for (const way of WAYS) await drill(each, way);
  say(`${DRILLS.length * WAYS.length} drills, ${failures} not well`);
} finally {
  await stack.stop();
}
process.exitCode = failures === 0 ? 0 : 1;
