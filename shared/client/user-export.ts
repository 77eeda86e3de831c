import { adapterVersions } from '../adapters/adapter-history.ts';
import { encodeAdapter, loraOf, type StoredAdapter } from '../adapters/adapter-object.ts';
import { exportPeft } from '../adapters/peft.ts';
import type { Episode } from '../episodes/episode.ts';
import type { CorruptObjectError } from '../errors.ts';
import type { DeadLetter } from '../feedback/dead-letters.ts';
import { drainDeadLetters } from '../feedback/redrive.ts';
import { servedUser } from '../serving/served-user.ts';
import type { Deployment } from './deployment.ts';

/** Files by name. */
export type UserFiles = Readonly<Record<string, string | Uint8Array>>;

/** The adapter as it is served now. All zeros when the user gets unchanged embeddings. */
export async function peftOf(userId: string, deployment: Deployment): Promise<UserFiles> {
  const { lora, stored, shared } = await servedUser(userId, await deployment.serving(0));
  if (stored === undefined) return {};
  const basis = shared.basis ?? loraOf(stored).basis;
  if (lora.basis !== null || basis === null) return { ...exportPeft(lora) };
  return { ...exportPeft({ basis, b: new Float32Array(basis.embeddingDim * basis.rank), offset: 0 }) };
}

/** Leaves out empty files. */
export async function recordsOf(key: string, deployment: Deployment): Promise<UserFiles> {
  const { objects, pending, quarantine } = await deployment.bucket();
  const episodes = await deployment.episodes();
  const versions = await Array.fromAsync(adapterVersions(key, objects));
  const deadLetters: DeadLetter[] = [];
  await drainDeadLetters(
    await deployment.deadLetters(),
    // Reads the dead letters and leaves them in place.
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

/** Names unreadable objects, so that nobody mistakes the export for complete. */
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

/**
 * Keys of items and hashes of events are 64-bit integers, written as text; embeddings are arrays of
 * numbers.
 */
function json(value: unknown): string {
  return JSON.stringify(value, (_, entry: unknown) => {
    if (typeof entry === 'bigint') return String(entry);
    return entry instanceof Float16Array ? [...entry] : entry;
  });
}
