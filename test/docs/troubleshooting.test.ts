import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recommend as answerRecommend } from '../../functions/personalize/recommend.ts';
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { type Attune, type AttuneOptions, createAttune } from '../../shared/client/index.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { combine } from '../../shared/population/shared-learning.ts';
import { SETTINGS, startWholeStack } from '../stack/running-stack.ts';
import { CATALOGUE_SETTINGS, randomItems } from '../support/catalogue.ts';
import { LOCAL } from '../support/local-clients.ts';
import { MemoryObjects } from '../support/memory-objects.ts';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'troubleshooting.md');
const items = randomItems(30, 'troubleshooting');
const embedding = Float32Array.from(items[0]!.embedding);
const click = { userId: 'ada', itemId: 'item-0', reward: 1 };

let running: Awaited<ReturnType<typeof startWholeStack>>;
let options: AttuneOptions;
let folder: string;
let before: string;
let page: string;
beforeAll(async () => {
  page = await readFile(PAGE, 'utf8');
  running = await startWholeStack();
  const { endpoints, environment, outputs } = running.stack;
  await new CatalogueWriter(running.objects, CATALOGUE_SETTINGS, { basis: null, now: Date.now }).put(items);
  options = {
    outputs: { Attune: outputs },
    region: environment.AWS_REGION,
    credentials: LOCAL.credentials,
    endpoint: endpoints,
    maxWaitMs: 1,
  };
  before = process.cwd();
  folder = await mkdtemp(join(tmpdir(), 'attune-troubles-'));
  process.chdir(folder);
});
afterAll(async () => {
  process.chdir(before);
  await running?.stop();
  await rm(folder, { recursive: true });
});

/** The error of a client with these options when `work` fails. */
async function says(more: AttuneOptions, work: (attune: Attune) => Promise<unknown>): Promise<string> {
  try {
    await using attune = createAttune({ ...options, ...more });
    await work(attune);
    return 'nothing';
  } catch (error) {
    return (error as Error).message;
  }
}

const recommend = (attune: Attune) => attune.recommend({ userId: 'ada' });

/**
 * For each symptom of the page, code that causes it and returns its message or `true`. In the order
 * of a deployment's life.
 */
const REPRODUCTIONS: Readonly<Record<string, () => Promise<string | true>>> = {
  '`createAttune: found no outputs, stackName or resources, expected one of them`': () =>
    says({ outputs: undefined }, recommend),
  '`outputs.json: found no readable file, expected the file of cdk deploy --outputs-file`': () =>
    says({ outputs: 'outputs.json' }, recommend),
  '`createAttune: found no feedbackQueueUrl, expected it in resources or in the outputs of the deployment`':
    () => says({ outputs: { Other: {} } }, (attune) => attune.publish(click)),
  '`outputs: found 2 stacks with FeedbackQueueUrl, expected one`': () =>
    says({ outputs: { One: running.stack.outputs, Two: running.stack.outputs } }, (attune) =>
      attune.publish(click),
    ),
  '`found no function …`': () => says({ resources: { personalizeFunctionName: 'older' } }, recommend),
  '`CredentialsProviderError: Could not load credentials from any providers`': withoutCredentials,
  '`candidates[0].embedding: found 3 numbers, expected 16 numbers`': () =>
    says({}, (attune) => attune.score({ userId: 'ada', candidates: [{ embedding: [1, 2, 3] }] })),
  '`embeddingModel: found "text-large", expected "test-model"`': () =>
    says({ embeddingModel: 'text-large' }, recommend),
  '`catalogue: found no items, expected items that attune catalogue put has stored`': withoutCatalogue,
  '`limit: found 0, expected a whole number from 1 to 500`': () =>
    says({}, (attune) => attune.recommend({ userId: 'ada', limit: 0 })),
  '`recommend: found no answer within 1 ms`': () => {
    const atOnce = (_: number, callback: () => void) => {
      callback();
      return () => {};
    };
    return says({ clock: { now: Date.now, after: atOnce } }, (attune) =>
      attune.recommend({ userId: 'ada', deadlineMs: 1 }),
    );
  },
  '`found a full buffer (60 bytes), expected room: await ready() before publishing more`': () =>
    says({ maxBufferedBytes: 10 }, async (attune) => {
      void attune.publish(click);
      await attune.publish(click);
    }),
  '`found a closed client, expected an open one`': () =>
    says({}, async (attune) => {
      await attune.close();
      await attune.publish(click);
    }),
  'The adapter version stays 0 after `publish`': async () => {
    await using attune = createAttune(options);
    await attune.publish({ ...click, userId: 'bob', itemId: 'item-of-tomorrow' });
    await running.stack.idle();
    const { adapterVersion } = await attune.score({ userId: 'bob', candidates: [{ embedding }] });
    expect(adapterVersion).toBe(0);
    const { Quarantine } = await import('../../shared/feedback/quarantine.ts');
    const [refused] = await Array.fromAsync(new Quarantine(running.objects).all(userKey('bob')));
    expect(refused?.message?.code).toBe('unknown-item');
    return true;
  },
  '`source` is `base` although the user has given feedback': async () => {
    await using attune = createAttune(options);
    await attune.publish({ ...click, userId: 'cy' });
    await running.stack.idle();
    const { source, adapterVersion } = await attune.recommend({ userId: 'cy' });
    expect({ source, adapterVersion }).toEqual({ source: 'base', adapterVersion: 1 });
    return true;
  },
  'An item that was just rated is not recommended any more': async () => {
    await using attune = createAttune(options);
    const shows = async (excludeInteracted: boolean) => {
      const answer = await attune.recommend({ userId: 'cy', limit: 30, excludeInteracted });
      return answer.items.some(({ itemId }) => itemId === click.itemId);
    };
    expect([await shows(true), await shows(false)]).toEqual([false, true]);
    return true;
  },
  'An event that was published twice counts twice': async () => {
    await using attune = createAttune(options);
    const learned = async (userId: string, eventId?: string) => {
      for (let i = 0; i < 2; i++) {
        await attune.publish({ ...click, userId, eventId });
        await running.stack.idle();
      }
      return (await running.adapters.load(userKey(userId)))?.adapter.state.record.count;
    };
    expect([await learned('dee'), await learned('eli', 'click-1')]).toEqual([2, 1]);
    return true;
  },
};

/** Needs a separate deployment, because a function looks for a catalogue only every 30 seconds. */
async function withoutCatalogue(): Promise<string> {
  const objects = new MemoryObjects();
  const learning = async () => combine(undefined, undefined);
  const { parseCatalogueRequest } = await import('../../shared/contract/catalogue-request.ts');
  const request = parseCatalogueRequest({ action: 'recommend', userId: 'ada' }, CATALOGUE_SETTINGS);
  const answered = answerRecommend(request as Parameters<typeof answerRecommend>[0], {
    settings: SETTINGS,
    adapters: new AdapterStore(objects),
    cache: new AdapterCache(),
    learning,
    freshLearning: learning,
    neighbours: async () => undefined,
    catalogue: new CatalogueReader(objects, CATALOGUE_SETTINGS),
    now: Date.now,
  });
  return answered.then(
    () => 'nothing',
    (error: Error) => error.message,
  );
}

/** Runs in an environment without credentials: none in variables, in files or on the machine. */
async function withoutCredentials(): Promise<string> {
  const names = Object.keys(process.env).filter((name) => name.startsWith('AWS_'));
  const kept = Object.fromEntries([...names, 'HOME'].map((name) => [name, process.env[name]]));
  for (const name of names) delete process.env[name];
  Object.assign(process.env, { HOME: folder, AWS_EC2_METADATA_DISABLED: 'true' });
  try {
    return await says({ credentials: undefined }, recommend);
  } finally {
    delete process.env.AWS_EC2_METADATA_DISABLED;
    Object.assign(process.env, kept);
  }
}

/** A message of the page; numbers, quoted values and `…` are placeholders. */
function patternOf(symptom: string): RegExp {
  const text = symptom.replaceAll('`', '').replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(
    text
      .replaceAll(/"[^"]*"/g, '"[^"]*"')
      .replaceAll(/\d+/g, '\\d+')
      .replaceAll('…', '.*'),
  );
}

describe('a symptom of docs/troubleshooting.md', () => {
  test('is reproduced by a test each', () => {
    const symptoms = [...page.matchAll(/^### (.*)$/gm)].map(([, symptom]) => symptom);
    expect(symptoms.toSorted()).toEqual(Object.keys(REPRODUCTIONS).toSorted());
  });

  test.each(Object.entries(REPRODUCTIONS))('%s', async (symptom, reproduce) => {
    const seen = await reproduce();
    if (seen !== true) expect(seen).toMatch(patternOf(symptom));
  });
});
