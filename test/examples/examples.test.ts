import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { basic } from '../../examples/basic.ts';
import { cache } from '../../examples/cache.ts';
import { consolidation } from '../../examples/consolidation.ts';
import { hotSwap } from '../../examples/hot-swap.ts';
import { transfer } from '../../examples/transfer.ts';
import { withBank } from '../../examples/with-bank.ts';

async function shown<T>(example: (print: (line: string) => void) => Promise<T>) {
  const lines: string[] = [];
  const result = await example((line) => lines.push(line));
  return { ...result, text: lines.join('\n') };
}

describe('the examples', () => {
  it('basic: ranks what a user likes first', async () => {
    const { before, after, text } = await shown(basic);
    expect(before).toBeLessThanOrEqual(0.4);
    expect(after).toBeGreaterThanOrEqual(0.9);
    expect(text).toContain('version 13 has learned from 60 films');
  });

  it('with-bank: remembers every update, and forgets a user', async () => {
    const { stats, text } = await shown(withBank);
    expect(stats).toMatchObject({ episodes: 18, complete: true, recent: { users: 3 } });
    expect(stats.recent.successes).toBeGreaterThan(9);
    expect(text).toContain('Of 6 episodes of bob, 0 are left');
  });

  it('transfer: a new user learns better from what others tried', async () => {
    const { hinted, alone, withBank, similar, text } = await shown(transfer);
    expect(hinted).toBe(0.2);
    expect(withBank).toBeLessThan(0.9 * alone);
    expect(similar).toBe(3);
    expect(text).toContain('Set learning rate to 0.2');
  });

  it('consolidation: extracts skills once, and explains rejected ones', async () => {
    const { created, again, skills, summary } = await shown(consolidation);
    expect(created).toBe(2);
    expect(skills.map(({ hyperparameters }) => hyperparameters.priorVariance).sort()).toEqual([10, 1000]);
    expect(again).toBe(0);
    expect(summary.rejected).toHaveLength(1);
  });

  it('hot-swap: loses no update and no episode', async () => {
    expect(await shown(hotSwap)).toMatchObject({ first: 10, second: 20, enabled: false });
    expect((await hotSwap(() => {})).versions).toEqual(Array(10).fill(6));
  });

  it('cache: asks the bank once for many updates', async () => {
    const { queries, updates, hitRate, sizes } = await shown(cache);
    expect([queries, updates]).toEqual([1, 40]);
    expect(hitRate).toBeCloseTo(39 / 40, 10);
    expect(sizes).toEqual([1, 0, 1, 0]);
  });

  it('run by name, and refuse other names in one line', async () => {
    const run = (...names: string[]) => promisify(execFile)(process.execPath, ['examples/run.ts', ...names]);
    expect((await run('basic')).stdout).toContain('read back, it is version 13 of ada');
    await expect(run('nothing')).rejects.toMatchObject({
      code: 2,
      stderr:
        'example: found nothing, expected one of basic, with-bank, transfer, consolidation, hot-swap, cache\n',
    });
  });
});
