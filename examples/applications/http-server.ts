/** Absent for an interaction that was refused before it was part of an event. */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { AttuneError, createAttune } from 'attune/client';

interface Film {
  readonly itemId: string;
  readonly title: string;
  readonly embedding: number[];
}

const [file = 'films.jsonl', port = '3000'] = process.argv.slice(2);
const films: Film[] = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line));
const attune = createAttune({
  outputs: process.env.ATTUNE_OUTPUTS ?? 'outputs.json',
  onError: ({ message }) => process.stderr.write(`feedback not sent: ${message}\n`),
});

async function search(userId: string, words: string) {
  const found = films.filter(({ title }) => title.toLowerCase().includes(words.toLowerCase())).slice(0, 500);
  if (found.length === 0) return [];
  try {
    // A visitor does not wait longer than this for a better order.
    const { items } = await attune.score({ userId, candidates: found, deadlineMs: 500 });
    return items.map(({ index }) => found[index]);
  } catch (error) {
    if (error instanceof AttuneError && error.retryable) return found;
    throw error;
  }
}

async function answer({ method, url = '/' }: IncomingMessage): Promise<[status: number, body: unknown]> {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  // Your application takes the user from its session.
  const userId = searchParams.get('user') ?? '';
  if (method === 'GET' && pathname === '/search')
    return [200, (await search(userId, searchParams.get('q') ?? '')).map((film) => film?.title)];
  if (method !== 'POST' || pathname !== '/watched') return [404, 'not found'];
  // Not awaited; `onError` reports what is not sent.
  void attune.publish({ userId, itemId: searchParams.get('item') ?? undefined, reward: 1 });
  return [202, 'accepted'];
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((error) => [500, String(error)] as const);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}).listen(Number(port), '127.0.0.1');
process.once('SIGTERM', () => server.close(() => void attune.close()));
