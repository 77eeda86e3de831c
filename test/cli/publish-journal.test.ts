import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { PublishJournal } from '../../cli/publish-journal.ts';

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'attune-journal-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function recorded(folder: string, names: readonly string[], keys: readonly bigint[]): void {
  const journal = new PublishJournal(names, folder);
  journal.add(keys);
  journal.close();
}

it('remembers the keys of a batch, and of no other queue, creation time or batch', () => {
  const folder = temporary();
  recorded(folder, ['queue', '1', 'batch'], [1n, 2n ** 64n - 1n]);
  recorded(folder, ['queue', '1', 'batch'], [7n]);
  expect(new PublishJournal(['queue', '1', 'batch'], folder).published).toEqual(
    new Set([1n, 2n ** 64n - 1n, 7n]),
  );
  for (const names of [
    ['other', '1', 'batch'],
    ['queue', '2', 'batch'],
    ['queue', '1', 'other'],
  ])
    expect(new PublishJournal(names, folder).published.size).toBe(0);
});

it('reads the complete keys of a file that a crash has truncated', () => {
  const folder = temporary();
  recorded(folder, ['a'], [5n]);
  appendFileSync(join(folder, readdirSync(folder)[0]!), new Uint8Array(3));
  expect(new PublishJournal(['a'], folder).published).toEqual(new Set([5n]));
});

it('works without a writable folder', () => {
  const journal = new PublishJournal(['a'], '/dev/null/nowhere');
  journal.add([1n]);
  journal.close();
  expect(journal.published.size).toBe(0);
});
