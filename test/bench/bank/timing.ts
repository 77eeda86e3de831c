export interface Timing {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/**
 * Runs one after another and times each.
 * @param repeat number of runs
 */
export async function timed(repeat: number, run: (index: number) => Promise<unknown>): Promise<Timing> {
  const times: number[] = [];
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    await run(i);
    times.push(performance.now() - start);
  }
  return timing(times);
}

export function timing(times: readonly number[]): Timing {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (fraction: number) => sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]!;
  return { p50Ms: at(0.5), p95Ms: at(0.95) };
}
