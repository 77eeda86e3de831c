import { HALF_LIVES, NO_RECENT_PICKS, type RecentPicks } from '../lora/recent-picks.ts';
import type { NamedTensor } from '../storage/safetensors.ts';
import type { TensorReader } from '../storage/tensor-document.ts';

/** Numbers of a record. */
const RECORD = 3;

/** No tensors before anything was picked. Earlier versions ignore these tensors. */
export function recentPicksTensors({ at, keys, counts, records }: RecentPicks): Record<string, NamedTensor> {
  if (keys.length === 0) return {};
  const width = HALF_LIVES.length;
  return {
    'recent.at': { shape: [1], values: Float64Array.of(at) },
    'recent.halfLives': { shape: [width], values: Float64Array.from(HALF_LIVES) },
    'recent.key': { shape: [keys.length], values: keys },
    'recent.count': { shape: [keys.length, width], values: counts },
    'recent.record': {
      shape: [width, RECORD],
      values: Float64Array.from(records.flatMap(({ users, gain, squares }) => [users, gain, squares])),
    },
  };
}

/**
 * Counts of other half-lives begin anew.
 * @throws CorruptObjectError when the tensors have other shapes
 */
export function readRecentPicks(reader: TensorReader): RecentPicks {
  const width = HALF_LIVES.length;
  if (reader.rows('recent.halfLives') !== width) return NO_RECENT_PICKS;
  const halfLives = reader.read('recent.halfLives', Float64Array, [width]);
  if (HALF_LIVES.some((days, i) => halfLives[i] !== days)) return NO_RECENT_PICKS;
  const items = reader.rows('recent.key');
  const record = reader.read('recent.record', Float64Array, [width, RECORD]);
  return {
    at: reader.read('recent.at', Float64Array, [1])[0]!,
    keys: reader.read('recent.key', BigUint64Array, [items]),
    counts: reader.read('recent.count', Float32Array, [items, width]),
    records: HALF_LIVES.map((_, i) => ({
      users: record[RECORD * i]!,
      gain: record[RECORD * i + 1]!,
      squares: record[RECORD * i + 2]!,
    })),
  };
}
