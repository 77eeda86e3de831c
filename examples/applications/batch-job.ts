/**
 * A batch job: the best films for every user, as JSON lines, such as for an e-mail a week. `node
 * batch-job.ts <users.txt>`; Ctrl-C ends it cleanly.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { AttuneError, createAttune } from 'attune/client';

/**
 * Requests at a time. The function scales with them, up to the account's limit of concurrent
 * executions.
 */
const WORKERS = 8;

const [file = 'users.txt'] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('interrupted')));

await using attune = createAttune({ outputs: process.env.ATTUNE_OUTPUTS ?? 'outputs.json' });
const users = createInterface({ input: createReadStream(file) })[Symbol.asyncIterator]();

async function work(): Promise<void> {
  for (;;) {
    const { value: userId, done } = await users.next();
    if (done === true) return;
    if (userId !== '') process.stdout.write(`${JSON.stringify(await filmsFor(userId))}\n`);
  }
}

/** A failure for one user does not end the job, as long as others may succeed. */
async function filmsFor(userId: string) {
  try {
    const { items } = await attune.recommend({ userId, limit: 5, diversity: 0.3, signal: stop.signal });
    return { userId, films: items.map(({ itemId }) => itemId) };
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error;
    process.exitCode = 1;
    return { userId, error: error.message };
  }
}

await Promise.all(Array.from({ length: WORKERS }, work));
