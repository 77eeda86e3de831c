import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import type { AdapterStore } from '../shared/adapters/adapter-store.ts';
import { PREFIX } from '../shared/config/names.ts';
import { type Item, userOfItem } from '../shared/episodes/episode-item.ts';
import { itemFromJson } from '../shared/episodes/item-json.ts';
import { ConflictError, InvalidConfigurationError, NotFoundError } from '../shared/errors.ts';
import { inParallel } from '../shared/in-parallel.ts';
import type { KeyedVersion, ObjectStore } from '../shared/storage/objects.ts';
import { AT_ONCE, BACKUP } from './backup.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { createProgress, printJson, printLine } from './output.ts';

interface RestoreOptions extends DeploymentOptions {
  readonly from?: string;
  readonly fromTable?: string;
  readonly deletedSince?: Date;
  readonly replace?: boolean;
  readonly json?: boolean;
}

/**
 * Prefixes whose objects may have been deleted by mistake. Objects elsewhere are deleted when they
 * are no longer needed.
 */
const LASTING = [PREFIX.adapters, PREFIX.basis, PREFIX.skills, PREFIX.catalogue];

/** `attune restore`: restores a backup, items of another table, or deleted objects. */
export function restoreCommand(command: Command): Command {
  command
    .option('--from <folder>', 'restore the objects and table items in this folder of attune backup')
    .option('--from-table <name>', 'restore the items of this table, for example one that DynamoDB restored')
    .option('--deleted-since <time>', 'restore objects that were deleted since this time, ISO 8601', time)
    .option('--replace', 'with --from: also replace existing objects that differ')
    .option('--json', 'print the counts as one line of JSON')
    .action(restore);
  return withDeployment(command, 'bucket', 'table');
}

interface Counts {
  objects: number;
  items: number;
  /** Objects that existed already. */
  kept: number;
  /** Objects skipped because their users are forgotten. */
  forgotten: number;
}

async function restore(options: RestoreOptions): Promise<void> {
  const { from, fromTable, deletedSince } = options;
  if ([from, fromTable, deletedSince].filter((given) => given !== undefined).length !== 1)
    throw new InvalidConfigurationError('expected one of --from, --from-table and --deleted-since');
  await onDeployment(options, async (deployment) => {
    const { objects, adapters } = await deployment.bucket();
    const counts: Counts = { objects: 0, items: 0, kept: 0, forgotten: 0 };
    const isForgotten = forgottenUsers(adapters);
    const progress = createProgress('restoring', 'items and objects');
    const onProgress = () => progress.update(counts.objects + counts.items + counts.kept);
    try {
      if (deletedSince !== undefined) await undelete(objects, deletedSince, counts, onProgress);
      if (from !== undefined) {
        if (!existsSync(join(from, BACKUP.table)))
          throw new NotFoundError(
            `--from ${from}: found no ${BACKUP.table}, expected a folder of attune backup`,
          );
        await putObjects(from, objects, options.replace === true, isForgotten, counts, onProgress);
      }
      const items =
        from !== undefined
          ? itemsOf(from)
          : fromTable !== undefined
            ? (await deployment.table(fromTable)).scan()
            : undefined;
      if (items !== undefined)
        await putItems(items, await deployment.table(), isForgotten, counts, onProgress);
    } finally {
      progress.stop();
    }
    if (options.json) return printJson(counts);
    const { objects: restored, items, kept, forgotten } = counts;
    printLine(
      `restored ${restored} objects and ${items} items of the table; ${kept} objects existed already`,
    );
    if (forgotten > 0) printLine(`left out ${forgotten} of forgotten users`);
  });
}

type IsForgotten = (userKey: string) => Promise<boolean>;

/** Whether a tombstone replaces the user's adapter. */
function forgottenUsers(adapters: AdapterStore): IsForgotten {
  const known = new Map<string, Promise<boolean>>();
  return (userKey) => {
    let answer = known.get(userKey);
    if (answer === undefined) {
      answer = adapters.find(userKey).then(({ tombstone }) => tombstone !== undefined);
      known.set(userKey, answer);
    }
    return answer;
  };
}

async function putObjects(
  folder: string,
  objects: ObjectStore,
  replace: boolean,
  isForgotten: IsForgotten,
  counts: Counts,
  onProgress: () => void,
): Promise<void> {
  const root = join(folder, BACKUP.objects);
  const entries = existsSync(root) ? await readdir(root, { recursive: true, withFileTypes: true }) : [];
  const files = entries.filter((entry) => entry.isFile());
  await inParallel(files, AT_ONCE, async ({ parentPath, name }) => {
    const file = join(parentPath, name);
    const key = relative(root, file).split(sep).join('/');
    const [, user = ''] = key.split('/');
    if (/^[0-9a-f]{64}$/.test(user) && !key.startsWith(PREFIX.catalogue) && (await isForgotten(user))) {
      counts.forgotten += 1;
      return;
    }
    const body = await readFile(file);
    counts[(await put(objects, key, body, replace)) ? 'objects' : 'kept'] += 1;
    onProgress();
  });
}

/** @returns whether it wrote the object; false when the object existed */
async function put(objects: ObjectStore, key: string, body: Uint8Array, replace: boolean): Promise<boolean> {
  try {
    await objects.put(key, body, { ifNoneMatch: true });
    return true;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
  const current = replace ? await objects.get(key) : undefined;
  if (typeof current !== 'object' || Buffer.compare(current.body, body) === 0) return false;
  await objects.put(key, body, { ifMatch: current.etag });
  return true;
}

async function putItems(
  items: AsyncIterable<Item>,
  table: { putAll(items: readonly Item[]): Promise<void>; readonly batch: number },
  isForgotten: IsForgotten,
  counts: Counts,
  onProgress: () => void,
): Promise<void> {
  let batch: Item[] = [];
  const flush = async () => {
    await table.putAll(batch);
    counts.items += batch.length;
    onProgress();
    batch = [];
  };
  for await (const item of items) {
    const user = userOfItem(item);
    if (user !== undefined && (await isForgotten(user))) {
      counts.forgotten += 1;
      continue;
    }
    batch.push(item);
    if (batch.length === table.batch) await flush();
  }
  if (batch.length > 0) await flush();
}

async function* itemsOf(folder: string): AsyncGenerator<Item, void, undefined> {
  const input = createReadStream(join(folder, BACKUP.table), 'utf8');
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
    if (line !== '') yield itemFromJson(line);
}

/** Restores objects whose newest version is a delete marker. */
async function undelete(
  objects: ObjectStore,
  since: Date,
  counts: Counts,
  onProgress: () => void,
): Promise<void> {
  for (const prefix of LASTING) {
    let deleted: string | undefined;
    for await (const version of objects.versionsUnder(prefix)) {
      if (version.latest) deleted = wasDeleted(version, since) ? version.key : undefined;
      if (version.key !== deleted || version.deleteMarker) continue;
      deleted = undefined;
      const found = await objects.get(version.key, { versionId: version.versionId });
      if (typeof found === 'object' && (await put(objects, version.key, found.body, false)))
        counts.objects += 1;
      onProgress();
    }
  }
}

function wasDeleted({ deleteMarker, lastModified }: KeyedVersion, since: Date): boolean {
  return deleteMarker && lastModified >= since;
}

function time(text: string): Date {
  const parsed = new Date(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(parsed.getTime())) return parsed;
  throw new InvalidArgumentError('expected a time such as 2026-01-31T12:00:00Z.');
}
