import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SAFEGUARDS, type Safeguard, sabotage } from '../../chaos/safeguards.ts';
import type { Fault } from '../../support/container.ts';
import {
  deliverWithFaults,
  FAULTS,
  type FaultyDelivery,
  NOTHING_WRONG,
  type Wrongs,
} from './faulty-delivery.ts';

// Hundreds of deliveries each.
test('whatever fails, every event takes effect exactly once, in its order, and leaves one episode per version', async () => {
  const injected = new Map<Fault, number>();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 1e9 }), async (seed) => {
      const { wrongs, injected: faults } = await deliverWithFaults(seed);
      for (const [fault, count] of faults) injected.set(fault, (injected.get(fault) ?? 0) + count);
      expect(wrongs).toEqual(NOTHING_WRONG);
    }),
    { numRuns: 40 },
  );
  for (const fault of FAULTS) expect(injected.get(fault), fault).toBeGreaterThan(0);
});

describe('the same with a safeguard taken out of the source', () => {
  const symptoms: Record<Safeguard, (keyof Wrongs)[]> = {
    'if-match': ['lost', 'adaptersDiffering'],
    'id-ring': ['repeated', 'adaptersDiffering'],
    'group-stop': ['lost', 'adaptersDiffering'],
    'episode-idempotence': ['episodesWrong'],
    tombstone: ['remembered'],
  };
  test.for(Object.keys(SAFEGUARDS) as Safeguard[])('fails without %s', async (safeguard) => {
    const deliver = await bundledWithout(safeguard);
    const total = { ...NOTHING_WRONG };
    const isSilent = () => symptoms[safeguard].some((symptom) => total[symptom] === 0);
    for (let seed = 1; seed <= 15 && isSilent(); seed++) {
      const { wrongs } = await deliver(seed);
      for (const kind of Object.keys(total) as (keyof Wrongs)[]) total[kind] += wrongs[kind];
    }
    for (const symptom of symptoms[safeguard]) expect(total[symptom], symptom).toBeGreaterThan(0);
  });
});

async function bundledWithout(safeguard: Safeguard): Promise<(seed: number) => Promise<FaultyDelivery>> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-without-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const outfile = join(folder, `${safeguard}.mjs`);
  await build({
    entryPoints: [fileURLToPath(new URL('./faulty-delivery.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'error',
    plugins: [sabotage(safeguard)],
  });
  const module: { deliverWithFaults: typeof deliverWithFaults } = await import(outfile);
  return module.deliverWithFaults;
}
