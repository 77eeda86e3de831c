import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { PREFIX } from '../shared/config/names.ts';
import { itemToJson } from '../shared/episodes/item-json.ts';
import { InvalidConfigurationError } from '../shared/errors.ts';
import { inParallel } from '../shared/in-parallel.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { createProgress, printJson, printLine } from './output.ts';

interface BackupOptions extends DeploymentOptions {
  readonly to: string;
  readonly json?: boolean;
}

/** Names of the folder of objects and the file of items in a backup. */
export const BACKUP = { objects: 'objects', table: 'table.jsonl' } as const;
/** Concurrent requests. */
export const AT_ONCE = 16;

/** `attune backup`: writes the newest version of everything that a deployment keeps to files. */
export function backupCommand(command: Command): Command {
  command
    .requiredOption('--to <folder>', 'an empty folder; created when it is missing')
    .option('--json', 'print the counts as one line of JSON')
    .action(backup);
  return withDeployment(command, 'bucket', 'table');
}

async function backup(options: BackupOptions): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const table = await deployment.table();
    const done = { items: 0, objects: 0, bytes: 0 };
    const progress = createProgress('backing up', 'items and objects');
    // The table comes first. If an update runs meanwhile, the backup has its adapter and lacks only
    // its episode.
    const lines = async function* () {
      for await (const item of table.scan()) {
        progress.update(++done.items);
        yield `${itemToJson(item)}\n`;
      }
    };
    try {
      await mkdir(options.to, { recursive: true });
      await pipeline(lines, createWriteStream(join(options.to, BACKUP.table), { flags: 'wx' }));
      await inParallel(objects.list(''), AT_ONCE, async ({ key }) => {
        const found = isLease(key) ? undefined : await objects.get(key);
        if (typeof found !== 'object') return;
        const file = fileOf(options.to, key);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, found.body);
        done.objects += 1;
        done.bytes += found.body.length;
        progress.update(done.items + done.objects);
      });
    } catch (error) {
      if (!(error instanceof Error) || !('syscall' in error)) throw error;
      throw new InvalidConfigurationError(`--to ${options.to}: cannot be written (${error.message})`, {
        cause: error,
      });
    } finally {
      progress.stop();
    }
    if (options.json) return printJson(done);
    printLine(
      `${done.items} items of the table and ${done.objects} objects of ${done.bytes} bytes in ${options.to}`,
    );
  });
}

/** A running consolidation holds the lease; it means nothing elsewhere. */
function isLease(key: string): boolean {
  return key.startsWith(PREFIX.consolidation) && key.endsWith('.lease');
}

/**
 * @throws InvalidConfigurationError for a key that Attune does not write and that leads out of the
 * folder
 */
function fileOf(folder: string, key: string): string {
  const parts = key.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new InvalidConfigurationError(
      `object ${key}: found a key that is not a file name, expected a key that Attune writes`,
    );
  return join(folder, BACKUP.objects, ...parts);
}
