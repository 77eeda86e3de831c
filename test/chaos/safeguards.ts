import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';

const PROJECT = new URL('../../', import.meta.url);

interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * The safeguards that make the update path exactly-once, and how to remove each from the source.
 * The suite must notice.
 */
export const SAFEGUARDS = {
  'if-match': [
    {
      file: 'shared/adapters/adapter-store.ts',
      find: 'encodeAdapter(adapter),\n      conditionOf(replaces),',
      replace: 'encodeAdapter(adapter), {},',
    },
  ],
  'id-ring': [
    {
      file: 'functions/update-adapters/apply-events.ts',
      find: 'known.has(key) ? duplicates : applied',
      replace: 'applied',
    },
  ],
  'group-stop': [
    {
      file: 'functions/update-adapters/process-batch.ts',
      find: 'failed: [...messageIds, ...failed]',
      replace: 'failed: messageIds.slice(0, 1)',
    },
  ],
  'episode-idempotence': [
    {
      file: 'shared/episodes/episode-item.ts',
      find: "[version.padStart(VERSION_DIGITS, '0'), ...id]",
      replace: "[version.padStart(VERSION_DIGITS, '0'), Math.random()]",
    },
    {
      file: 'shared/episodes/in-memory-episode-store.ts',
      find: "if (this.#known.has(key)) return 'known';",
      replace: '',
    },
  ],
  tombstone: [
    {
      file: 'functions/update-adapters/update-user.ts',
      find: 'place.tombstone.expiresAt > now()',
      replace: 'false',
    },
  ],
} as const satisfies Record<string, readonly Edit[]>;

export type Safeguard = keyof typeof SAFEGUARDS;

/** Removes a safeguard from the code that esbuild bundles. */
export function sabotage(safeguard: Safeguard): Plugin {
  const edits: readonly Edit[] = SAFEGUARDS[safeguard];
  const editOf = new Map(edits.map((edit) => [fileURLToPath(new URL(edit.file, PROJECT)), edit]));
  return {
    name: `without ${safeguard}`,
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const edit = editOf.get(path);
        if (edit === undefined) return undefined;
        const source = await readFile(path, 'utf8');
        if (!source.includes(edit.find)) throw new Error(`${edit.file}: found no ${edit.find}`);
        return { contents: source.replace(edit.find, edit.replace), loader: 'ts' };
      });
    },
  };
}
