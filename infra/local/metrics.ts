/**
 * Collects the metrics that functions print in CloudWatch's embedded metric format (EMF). Combines
 * all dimensions.
 */
export class Metrics {
  readonly #values = new Map<string, number[]>();

  /** Reads one printed line. Ignores lines that are not EMF. */
  record(line: string): void {
    if (!line.includes('"_aws"')) return;
    const entry = parseObject(line);
    if (entry === undefined) return;
    const metadata = (entry._aws ?? {}) as { CloudWatchMetrics?: { Metrics?: { Name?: string }[] }[] };
    const names = (metadata.CloudWatchMetrics ?? []).flatMap((directive) => directive.Metrics ?? []);
    for (const name of new Set(names.map((metric) => metric.Name ?? ''))) {
      const values = [entry[name]].flat().filter((value) => typeof value === 'number');
      const known = this.#values.get(name);
      if (known === undefined) this.#values.set(name, values);
      else known.push(...values);
    }
  }

  /** All values of a metric, in the order of printing. */
  values(name: string): readonly number[] {
    return this.#values.get(name) ?? [];
  }

  /** The sum of all values; 0 when there are none. */
  sum(name: string): number {
    return this.values(name).reduce((total, value) => total + value, 0);
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
