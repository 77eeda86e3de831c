/**
 * Fills an adapter cache with many decoded adapters, and prints the memory that the process uses
 * for it. Needs --expose-gc.
 */
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import { VERSION_1 } from '../shared/storage/adapter-samples.ts';

const [limitBytes, adapters, residuals] = process.argv.slice(2).map(Number) as [number, number, number];
const sample = VERSION_1['adapter-v1-bayesian']!;

function adapterOf(n: number): StoredAdapter {
  const adapter: StoredAdapter = {
    ...sample,
    version: n + 1,
    recentEvents: new BigUint64Array(200).fill(BigInt(n)),
    lastEpisode: {
      ...sample.lastEpisode!,
      residuals: Array.from({ length: residuals }, (_, i) => ({
        itemKey: (BigInt(n * residuals + i) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn,
        residual: Math.fround(i / residuals - 0.5),
      })),
    },
  };
  return decodeAdapter(encodeAdapter(adapter), 'adapters/x');
}

function held(): number {
  for (let i = 0; i < 4; i++) (globalThis as unknown as { gc(): void }).gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const cache = new AdapterCache(limitBytes);
adapterOf(0);
const before = held();
for (let n = 0; n < adapters; n++) cache.set(`user ${n}`, { adapter: adapterOf(n), etag: `"${n}"` });
const after = held();
const kept = Array.from({ length: adapters }, (_, n) => cache.get(`user ${n}`)).filter(
  (loaded) => loaded !== undefined,
).length;
process.stdout.write(`${JSON.stringify({ held: after - before, kept })}\n`);
