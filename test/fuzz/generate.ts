import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import type { Random } from '../../shared/lora/random.ts';

/** Values that have broken parsers before. */
const NASTY: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  1e308,
  -1e308,
  5e-324,
  2 ** 53,
  1.5,
  -1,
  '',
  ' ',
  'null',
  '__proto__',
  'constructor',
  '\u0000',
  '\ud800',
  '\uffff',
  '\u202e',
  '💥'.repeat(65),
  'x'.repeat(129),
  '2026-13-45T99:99:99Z',
  'AAAA',
  '====',
  [],
  {},
  [[]],
  [null],
  { length: 1e9 },
  { toString: 1 },
  { toJSON: 'x' },
];

const NASTY_TEXT = [
  '1e999',
  '-1e999',
  'NaN',
  'undefined',
  '0x10',
  '01',
  '[,]',
  '"\\ud800"',
  '1e-400',
  '9'.repeat(400),
];
const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'userId',
  'embedding',
  'x',
];

export function generate(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  const kind = random.next();
  if (kind < 0.1) return bytes(random);
  if (kind < 0.2) return Buffer.from(text(random));
  const seed = Buffer.from(pick(random, seeds));
  if (kind < 0.5) return mutatedBytes(random, seed);
  return mutatedJson(random, seed) ?? mutatedBytes(random, seed);
}

function bytes(random: Random): Uint8Array {
  return Uint8Array.from({ length: random.integer(300) }, () => random.integer(256));
}

/** JSON without any form, or nearly JSON. */
function text(random: Random): string {
  const kind = random.integer(5);
  if (kind === 0) return '['.repeat(random.integer(3_000)) + ']'.repeat(random.integer(3_000));
  if (kind === 1) return `${'{"a":'.repeat(random.integer(2_000))}1`;
  if (kind === 2) return JSON.stringify(arbitrary(random, 4));
  if (kind === 3) return pick(random, NASTY_TEXT);
  return `"${'\\u0000'.repeat(random.integer(200))}"`;
}

function arbitrary(random: Random, depth: number): unknown {
  if (depth === 0 || random.next() < 0.4) return structuredClone(pick(random, NASTY));
  const size = random.integer(4);
  if (random.next() < 0.5) return Array.from({ length: size }, () => arbitrary(random, depth - 1));
  return Object.fromEntries(
    Array.from({ length: size }, () => [pick(random, KEYS), arbitrary(random, depth - 1)]),
  );
}

function mutatedBytes(random: Random, seed: Buffer): Uint8Array {
  const mutated = Buffer.from(seed);
  for (let edits = 1 + random.integer(4); edits > 0 && mutated.length > 0; edits--) {
    mutated[random.integer(mutated.length)] = random.integer(256);
  }
  const kind = random.next();
  if (kind < 0.2) return mutated.subarray(0, random.integer(mutated.length + 1));
  if (kind < 0.3) return Buffer.concat([mutated, bytes(random)]);
  if (kind < 0.4) {
    const at = random.integer(mutated.length + 1);
    return Buffer.concat([
      mutated.subarray(0, at),
      Buffer.from(pick(random, NASTY_TEXT)),
      mutated.subarray(at),
    ]);
  }
  return mutated;
}

/** A valid document with a few values exchanged, removed, doubled or added. */
function mutatedJson(random: Random, seed: Buffer): Uint8Array | undefined {
  let document: unknown;
  try {
    document = JSON.parse(seed.toString('utf8'));
  } catch {
    return undefined;
  }
  const root = { document };
  for (let edits = 1 + random.integer(3); edits > 0; edits--) edit(random, root);
  let json = JSON.stringify(root.document) ?? '';
  // A repeated key, and a key that only JSON text can have.
  if (random.next() < 0.1)
    json = json.replace('{', `{"${pick(random, KEYS)}":${JSON.stringify(pick(random, NASTY))},`);
  if (random.next() < 0.1) json = json.replace(/\d+(\.\d+)?/, pick(random, NASTY_TEXT));
  return Buffer.from(json);
}

function edit(random: Random, root: object): void {
  let parent = root as Record<string, unknown>;
  let key = 'document';
  // Down to somewhere.
  while (random.next() < 0.8) {
    const value = parent[key];
    if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) break;
    parent = value as Record<string, unknown>;
    key = pick(random, Object.keys(parent));
  }
  const kind = random.integer(5);
  if (kind === 0) delete parent[key];
  else if (kind === 1) parent[key] = [parent[key], parent[key]];
  else if (kind === 2) parent[key] = arbitrary(random, 3);
  else if (kind === 3 && Array.isArray(parent)) parent.push(structuredClone(parent[0]));
  else parent[key] = structuredClone(pick(random, NASTY));
}

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.integer(values.length)]!;
}

/** Cases that are too large to occur by chance. */
export function hugeCases(): Record<string, Uint8Array> {
  const event = (interactions: string) =>
    `{"schemaVersion":1,"eventId":"e","userId":"u","occurredAt":"2026-03-01T12:00:00Z","interactions":${interactions}}`;
  const request = (candidates: string) => `{"userId":"u","candidates":${candidates}}`;
  const embedding = encodeEmbedding(new Float32Array(16));
  const texts = {
    'ten million characters': `"${'x'.repeat(10_000_000)}"`,
    'nested arrays': '['.repeat(120_000) + ']'.repeat(120_000),
    'open arrays': '['.repeat(250_000),
    'nested objects': `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`,
    'too many interactions': event(`[${'{},'.repeat(80_000)}{}]`),
    'an embedding of nested arrays': event(
      `[{"reward":1,"embedding":${'['.repeat(90_000)}${']'.repeat(90_000)}}]`,
    ),
    'an embedding of strings': event(`[{"reward":1,"embedding":[${'"",'.repeat(60_000)}""]}]`),
    'many unknown keys': `{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":0`).join()}}`,
    'too many candidates': request(`[${'{},'.repeat(1_000_000)}{}]`),
    'a candidate of a million strings': request(`[{"embedding":[${'"",'.repeat(1_000_000)}""]}]`),
    'a candidate of a million numbers': request(`[{"embedding":[${'0,'.repeat(1_900_000)}0]}]`),
    'five hundred candidates': request(`[${Array(500).fill(`{"embedding":"${embedding}"}`).join()}]`),
    'an exponent of a million digits': event(
      `[{"reward":1e${'9'.repeat(100_000)},"embedding":"${embedding}"}]`,
    ),
  };
  return Object.fromEntries(Object.entries(texts).map(([name, json]) => [name, Buffer.from(json)]));
}
