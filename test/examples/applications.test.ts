import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { type Attune, createAttune } from '../../shared/client/index.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { startWholeStack } from '../stack/running-stack.ts';
import { CATALOGUE_SETTINGS, randomItems } from '../support/catalogue.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const items = randomItems(40, 'applications');

let running: Awaited<ReturnType<typeof startWholeStack>>;
let folder: string;
let outputs: string;
let env: NodeJS.ProcessEnv;
let attune: Attune;

beforeAll(async () => {
  running = await startWholeStack();
  await new CatalogueWriter(running.objects, CATALOGUE_SETTINGS, { basis: null, now: Date.now }).put(items);
  folder = await mkdtemp(join(tmpdir(), 'attune-applications-'));
  outputs = join(folder, 'outputs.json');
  await writeFile(outputs, JSON.stringify({ Attune: running.stack.outputs }));
  env = { ...process.env, ...running.stack.environment, ATTUNE_OUTPUTS: outputs };
  Object.assign(process.env, running.stack.environment, { ATTUNE_OUTPUTS: outputs });
  attune = createAttune({ outputs });
});
afterAll(async () => {
  await attune?.close();
  await running?.stop();
  await rm(folder, { recursive: true });
});

const example = (name: string, ...args: string[]) => [
  '--import',
  join(root, 'test', 'support', 'attune-by-name.ts'),
  join(root, 'examples', 'applications', name),
  ...args,
];

/** Runs an example that serves HTTP, while `work` sends it requests. */
async function serving(
  name: string,
  args: string[],
  work: (address: string) => Promise<void>,
): Promise<void> {
  const port = await freePort();
  const child = spawn(process.execPath, example(name, ...args, String(port)), { env, stdio: 'inherit' });
  try {
    const address = `http://127.0.0.1:${port}`;
    await answers(address, child);
    await work(address);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

async function answers(address: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    try {
      await fetch(`${address}/nothing`);
      return;
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  throw new Error(`the example ended with ${child.exitCode}`);
}

/** Number of interactions in a user's adapter when the stack is idle. */
async function learned(userId: string): Promise<number> {
  await running.stack.idle();
  return (await running.adapters.load(userKey(userId)))?.adapter.state.record.count ?? 0;
}

describe('an application', () => {
  it('has less than 60 lines in each example', async () => {
    for (const name of ['http-server.ts', 'next-route.ts', 'batch-job.ts', 'browser-page.ts']) {
      const lines = (await readFile(join(root, 'examples', 'applications', name), 'utf8')).trim().split('\n');
      expect(lines.length, name).toBeLessThan(60);
    }
  });

  it('http-server: reorders its own search results, and learns from watch signals', async () => {
    const films = join(folder, 'films.jsonl');
    const line = ({ itemId, embedding }: (typeof items)[number], i: number) =>
      JSON.stringify({ itemId, embedding: [...embedding], title: `${i % 2 ? 'Love' : 'War'} ${i}` });
    await writeFile(films, items.map(line).join('\n'));
    await serving('http-server.ts', [films], async (address) => {
      const watched = await fetch(`${address}/watched?user=eve&item=item-3`, { method: 'POST' });
      expect(watched.status).toBe(202);
      const found = (await (await fetch(`${address}/search?user=eve&q=love`)).json()) as string[];
      expect(found).toHaveLength(20);
      expect(found.every((title) => title.startsWith('Love'))).toBe(true);
      expect((await fetch(`${address}/other`)).status).toBe(404);
    });
    expect(await learned('eve')).toBe(1);
  });

  it('next-route: recommends to the logged-in user, and explains an invalid rating', async () => {
    const { GET, POST } = await import('../../examples/applications/next-route.ts');
    const request = (body?: object, headers: Record<string, string> = { 'x-user': 'fay' }) =>
      new Request('http://app/api/films?genre=comedy', {
        headers,
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
    expect((await GET(request(undefined, {}))).status).toBe(401);
    const { films } = (await (await GET(request())).json()) as { films: string[] };
    expect(films).toHaveLength(10);
    expect(films.every((id) => Number(id.slice('item-'.length)) % 3 === 0)).toBe(true);
    const rated = await POST(request({ itemId: 'item-1', rating: 4 }));
    expect(rated.status).toBe(202);
    expect(await rated.json()).toEqual({ eventId: expect.any(String) });
    const wrong = await POST(request({ itemId: 'item-1', rating: 50 }));
    expect(wrong.status).toBe(400);
    expect(await wrong.json()).toEqual({ field: 'reward', expected: 'a number in [0, 1]' });
    expect(await learned('fay')).toBe(1);
  });

  it('batch-job: recommends to every user of a file', async () => {
    const users = join(folder, 'users.txt');
    await writeFile(users, 'eve\nfay\nnobody\n');
    const { stdout } = await run(process.execPath, example('batch-job.ts', users), { env });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ userId }) => userId).sort()).toEqual(['eve', 'fay', 'nobody']);
    const { films } = lines.find(({ userId }) => userId === 'eve');
    expect(films).toHaveLength(5);
    expect(films).not.toContain('item-3');
  });

  it('browser-page: its script sends clicks to the application, which knows the visitor by a cookie', async () => {
    await serving('browser-page.ts', [], async (address) => {
      const response = await fetch(address);
      const [cookie = ''] = response.headers.getSetCookie();
      expect(cookie).toMatch(/HttpOnly/);
      const visitor = /visitor=([\w-]+)/.exec(cookie)?.[1] ?? '';
      const page = await response.text();
      expect(page).not.toMatch(/AKIA|accessKey|secret/i);
      const [, script = ''] = /<script>([\s\S]*)<\/script>/.exec(page) ?? [];
      let click: (event: object) => void = () => {};
      const sent: Promise<Response>[] = [];
      runInNewContext(script, {
        document: { addEventListener: (_: string, listener: typeof click) => (click = listener) },
        crypto,
        decodeURIComponent,
        fetch: (path: string, options: RequestInit) =>
          sent.push(fetch(`${address}${path}`, { ...options, headers: { cookie: `visitor=${visitor}` } })),
      });
      const [, item] = /data-item="([^"]+)"/.exec(page) ?? [];
      click({ target: { dataset: { item } } });
      click({ target: { dataset: {} } });
      expect(sent).toHaveLength(1);
      expect((await sent[0])?.status).toBe(204);
      const forged = await fetch(`${address}/clicks`, {
        method: 'POST',
        body: '{"userId":"eve"}',
        headers: { cookie: `visitor=${visitor}` },
      });
      expect(forged.status).toBe(400);
      expect(await learned(visitor)).toBe(1);
    });
  });
});

describe('another language', () => {
  const python = ['python3', 'python'].find((name) => {
    try {
      execFileSync(name, ['-c', 'import boto3'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
  if (python === undefined)
    process.stdout.write('Python with boto3 is not here: its example is not tested.\n');

  it.skipIf(python === undefined)(
    'Python publishes, and reads the same answers as the TypeScript client',
    async () => {
      const script = join(root, 'examples', 'python', 'attune.py');
      await run(python ?? '', [script, outputs, 'publish', 'gus', 'item-5', '0.9'], { env });
      expect(await learned('gus')).toBe(1);
      const { stdout } = await run(python ?? '', [script, outputs, 'recommend', 'gus'], { env });
      const { recommendationId: _, ...ours } = await attune.recommend({ userId: 'gus' });
      expect(JSON.parse(stdout)).toMatchObject(JSON.parse(JSON.stringify(ours)));
      const candidates = items.slice(0, 3).map(({ itemId, embedding }) => [itemId, [...embedding]]);
      const asked = `
import json, sys
sys.path.insert(0, ${JSON.stringify(join(root, 'examples', 'python'))})
from attune import Attune, AttuneError
attune = Attune(sys.argv[1])
print(json.dumps(attune.score("gus", ${JSON.stringify(candidates)})))
try:
    attune.recommend("gus", limit=0)
except AttuneError as error:
    print(error.field)
`;
      const { stdout: scored } = await run(python ?? '', ['-c', asked, outputs], { env });
      const [answer = '', field] = scored.trim().split('\n');
      const typed = candidates.map(([itemId, embedding]) => ({
        itemId: itemId as string,
        embedding: Float32Array.from(embedding as number[]),
      }));
      expect(JSON.parse(answer)).toEqual(await attune.score({ userId: 'gus', candidates: typed }));
      expect(field).toBe('limit');
    },
  );
});
