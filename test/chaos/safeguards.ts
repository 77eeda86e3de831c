/** What makes the update path exactly-once, and how to take each out: the suite must notice. */
export const SAFEGUARDS = {
  'if-match': {
    file: 'shared/adapter-store/adapter-store.ts',
    find: 'encodeAdapter(adapter),\n      conditionOf(replaces),',
    replace: 'encodeAdapter(adapter), {},',
  },
  'id-ring': {
    file: 'functions/update-adapters/apply-events.ts',
    find: 'known.has(key) ? duplicates : applied',
    replace: 'applied',
  },
  'group-stop': {
    file: 'functions/update-adapters/process-batch.ts',
    find: 'failed: [...messageIds, ...failed]',
    replace: 'failed: messageIds.slice(0, 1)',
  },
  'episode-idempotence': {
    file: 'shared/reasoning-bank/episode-item.ts',
    find: "String(version).padStart(10, '0')",
    replace: "String(version).padStart(10, '0') + Math.random()",
  },
  tombstone: {
    file: 'functions/update-adapters/update-user.ts',
    find: 'place.tombstone.expiresAt > now()',
    replace: 'false',
  },
} as const;

export type Safeguard = keyof typeof SAFEGUARDS;
