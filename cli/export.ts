import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { adapterVersions } from '../shared/adapters/adapter-history.ts';
import { encodeAdapter, loraOf, type StoredAdapter } from '../shared/adapters/adapter-object.ts';
import { exportPeft } from '../shared/adapters/peft.ts';
import { userKey } from '../shared/config/user-key.ts';
import type { Episode } from '../shared/episodes/episode.ts';
import { type CorruptObjectError, InvalidConfigurationError, NotFoundError } from '../shared/errors.ts';
import type { DeadLetter } from '../shared/feedback/dead-letters.ts';
import { drainDeadLetters } from '../shared/feedback/redrive.ts';
import { servedUser } from '../shared/serving/served-user.ts';
import { type Deployment, type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine } from './output.ts';

interface ExportOptions extends DeploymentOptions {
  readonly to: string;
  readonly format: 'all' | 'peft';
  readonly json?: boolean;
}

type Files = Record<string, string | Uint8Array>;

/** `attune export`: all that is kept of a user, as files. */
export function exportCommand(): Command {
  const command = new Command('export')
    .description('write everything that is kept of a user into a folder')
    .argument('<user>', 'the user id')
    .requiredOption('--to <folder>', 'the folder; created when it is missing')
    .addOption(
      new Option(
        '--format <format>',
        'all: everything, as it is stored; peft: the adapter alone, as it is served now and as Hugging Face PEFT reads it (needs --outputs)',
      )
        .choices(['all', 'peft'])
        .default('all'),
    )
    .option('--json', 'print the names of the files as one line of JSON')
    .action(exportUser);
  return withDeployment(command, 'bucket', 'table', 'deadLetterQueueUrl');
}

async function exportUser(user: string, options: ExportOptions): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const key = userKey(user);
    const files =
      options.format === 'peft' ? await peft(user, deployment) : await everything(key, deployment);
    if (Object.keys(files).length === 0) throw new NotFoundError(`user ${user}: found nothing`);
    try {
      await mkdir(options.to, { recursive: true });
      for (const [name, content] of Object.entries(files)) await writeFile(join(options.to, name), content);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new InvalidConfigurationError(`--to ${options.to}: cannot be written (${reason})`, { cause });
    }
    if (options.json) printJson({ folder: options.to, files: Object.keys(files) });
    else for (const name of Object.keys(files)) printLine(join(options.to, name));
  });
}

/** The adapter as it is served now; all zeros where the embeddings are served as they are. */
async function peft(user: string, deployment: Deployment): Promise<Files> {
  const { lora, stored, shared } = await servedUser(user, await deployment.serving());
  if (stored === undefined) return {};
  const basis = shared.basis ?? loraOf(stored).basis;
  if (lora.basis !== null || basis === null) return { ...exportPeft(lora) };
  return { ...exportPeft({ basis, b: new Float32Array(basis.embeddingDim * basis.rank), offset: 0 }) };
}

/** Nothing is written for what there is nothing of. */
async function everything(key: string, deployment: Deployment): Promise<Files> {
  const { objects, pending, quarantine } = await deployment.bucket();
  const episodes = await deployment.episodes();
  const versions = await Array.fromAsync(adapterVersions(key, objects));
  const deadLetters: DeadLetter[] = [];
  await drainDeadLetters(
    await deployment.deadLetters(),
    // Looked at, and left where it is.
    (letter) => {
      if (letter.groupId === key) deadLetters.push(letter);
      return false;
    },
    async () => {},
  );
  const waiting = await Array.fromAsync(pending.list(key));
  const quarantined = await Array.fromAsync(quarantine.all(key));
  const lists: Record<string, readonly unknown[]> = {
    'adapter-versions.jsonl': versions.map((version) =>
      version.damage === undefined
        ? described(version.adapter, version.versionId, version.bytes)
        : { versionId: version.versionId, bytes: version.body.length, damaged: version.damage.message },
    ),
    'episodes.jsonl': (await Array.fromAsync(episodes.ofUser(key))).map(orDamage),
    'pending-episodes.jsonl': waiting.map(orDamage),
    'quarantine.jsonl': quarantined.map(({ message, error, body }) =>
      error === undefined ? message : { damaged: error.message, body: Buffer.from(body).toString('base64') },
    ),
    'dead-letters.jsonl': deadLetters.map(({ receiptHandle: _, ...letter }) => letter),
  };
  const newest = versions.find((version) => version.damage === undefined)?.adapter;
  const damaged = versions.flatMap((version) => (version.damage === undefined ? [] : version));
  return {
    ...(newest === undefined ? {} : { 'adapter.safetensors': encodeAdapter(newest) }),
    ...Object.fromEntries(damaged.map(({ body }, i) => [`adapter-damaged-${i + 1}.bin`, body])),
    ...Object.fromEntries(
      Object.entries(lists).flatMap(([name, entries]) =>
        entries.length === 0 ? [] : [[name, entries.map((entry) => `${json(entry)}\n`).join('')]],
      ),
    ),
  };
}

/** What cannot be read is named, so that nobody takes an export for whole. */
function orDamage({
  episode,
  error,
}: {
  readonly episode?: Episode | undefined;
  readonly error?: CorruptObjectError | undefined;
}) {
  return episode ?? { damaged: error?.message };
}

function described(adapter: StoredAdapter, versionId: string, bytes: number) {
  const { version, createdAt, updatedAt, embeddingModel, state, recentEvents } = adapter;
  return {
    version,
    versionId,
    bytes,
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    embeddingModel,
    learner: state.learner,
    record: state.record,
    recentEvents: [...recentEvents],
  };
}

/** Keys of items and hashes of events are 64-bit integers, written as text; embeddings are arrays of numbers. */
function json(value: unknown): string {
  return JSON.stringify(value, (_, entry: unknown) => {
    if (typeof entry === 'bigint') return String(entry);
    return entry instanceof Float16Array ? [...entry] : entry;
  });
}
