import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRandom } from '../../shared/lora/random.ts';
import { CHAOS_SETTINGS } from './assembly.ts';
import { provideLearning, startChaosStack } from './chaos-stack.ts';
import { durableMessages } from './durable-workload.ts';
import type { ChaosReport } from './run.ts';
import { judge } from './verdict.ts';

const RUN = fileURLToPath(new URL('./durable-run.ts', import.meta.url));
/** A process needs about a second to start its stack; later kills hit it at work. */
const LONGEST_LIFE_MS = 4_000;

/**
 * Kills the whole stack at random moments, starts it again on the same data, and compares the final
 * state with the oracle's.
 */
export async function runKills(options: {
  assemblyDir: string;
  seed: number;
  events: number;
  kills: number;
}): Promise<ChaosReport> {
  const startedAt = performance.now();
  const { assemblyDir, seed, events, kills } = options;
  const random = createRandom(`kills ${seed}`);
  const dataDir = await mkdtemp(join(tmpdir(), 'attune-kills-'));
  const start = () =>
    spawn(process.execPath, [RUN, assemblyDir, dataDir, String(seed), String(events)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  try {
    let finishedEarly = 0;
    for (let kill = 0; kill < kills; kill++) {
      const process = start();
      const ended = endOf(process);
      await Promise.race([delay(random.integer(LONGEST_LIFE_MS)), ended]);
      process.kill('SIGKILL');
      if ((await ended) === 0) finishedEarly += 1;
    }
    const code = await endOf(start());
    if (code !== 0) throw new Error(`the last run ended with exit code ${code}`);
    const running = await startChaosStack({ assemblyDir, dataDir });
    try {
      const { items, messages } = durableMessages(seed, events, CHAOS_SETTINGS);
      const verdict = await judge(running, messages, await provideLearning(running, items));
      return {
        seed,
        events,
        messages: messages.length,
        ...verdict,
        seconds: Math.round((performance.now() - startedAt) / 100) / 10,
        faults: { 'stack-killed': kills - finishedEarly },
        killedAt: {},
      };
    } finally {
      await running.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
}
