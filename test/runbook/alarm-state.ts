/** A metric that an alarm reads. */
export interface MetricReference {
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: unknown }[];
}

interface Stat {
  readonly Period: number;
  readonly Stat: string;
  readonly Metric: MetricReference;
}

/** The properties of an alarm in a template. */
export interface AlarmProperties extends Partial<MetricReference> {
  readonly Statistic?: string;
  readonly ExtendedStatistic?: string;
  readonly Period?: number;
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly MetricStat?: Stat;
  }[];
  readonly Threshold: number;
  readonly ComparisonOperator: string;
  readonly EvaluationPeriods: number;
  readonly TreatMissingData: string;
}

export interface AlarmState {
  /** Undefined without data. */
  readonly datum: number | undefined;
  /** Whether the period breaches the threshold. */
  readonly breaches: boolean;
  /** Such as `Sum of EventsGivenBack = 3`. */
  readonly shown: string;
  /** Such as `>= 1 in 2 periods of 300 s`. */
  readonly condition: string;
}

const OPERATORS: Readonly<Record<string, readonly [string, (datum: number, threshold: number) => boolean]>> =
  {
    GreaterThanOrEqualToThreshold: ['>=', (datum, threshold) => datum >= threshold],
    GreaterThanThreshold: ['>', (datum, threshold) => datum > threshold],
    LessThanThreshold: ['<', (datum, threshold) => datum < threshold],
  };

/**
 * The state of an alarm after one period, whose values all count as the newest.
 * @param valuesOf the values of a metric in that period
 */
export async function stateOf(
  alarm: AlarmProperties,
  valuesOf: (metric: MetricReference) => Promise<readonly number[]>,
): Promise<AlarmState> {
  const stats: { id: string; stat: Stat }[] = (alarm.Metrics ?? []).flatMap(({ Id, MetricStat }) =>
    MetricStat === undefined ? [] : [{ id: Id, stat: MetricStat }],
  );
  const expression = alarm.Metrics?.find(({ Expression }) => Expression !== undefined)?.Expression;
  if (expression === undefined && stats.length === 0) {
    const { Namespace = '', MetricName = '', Dimensions = [], Period = 0 } = alarm;
    const Stat = alarm.Statistic ?? alarm.ExtendedStatistic ?? '';
    stats.push({ id: 'only', stat: { Metric: { Namespace, MetricName, Dimensions }, Period, Stat } });
  }
  const found = new Map<string, number>();
  for (const { id, stat } of stats) {
    const datum = statistic(stat.Stat, await valuesOf(stat.Metric));
    if (datum !== undefined) found.set(id, datum);
  }
  const datum = evaluate(expression ?? stats[0]!.id, found);
  const [sign, compare] = OPERATORS[alarm.ComparisonOperator]!;
  const parts = stats.map(
    ({ id, stat }) => `${stat.Stat} of ${stat.Metric.MetricName} = ${found.get(id) ?? 'no data'}`,
  );
  return {
    datum,
    breaches: datum === undefined ? alarm.TreatMissingData === 'breaching' : compare(datum, alarm.Threshold),
    shown:
      expression === undefined
        ? parts.join('')
        : `${expression} = ${datum ?? 'no data'} (${parts.join(', ')})`,
    condition: `${sign} ${alarm.Threshold} in ${alarm.EvaluationPeriods} period(s) of ${stats[0]!.stat.Period} s`,
  };
}

function statistic(name: string, values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const sum = values.reduce((total, value) => total + value, 0);
  if (name === 'Sum') return sum;
  if (name === 'Average') return sum / values.length;
  const rank = /^p(\d+)$/.exec(name)?.[1];
  const share = name === 'Maximum' ? 1 : Number(rank) / 100;
  if (Number.isNaN(share)) throw new Error(`found the statistic ${name}, expected one that the drill knows`);
  return values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1];
}

/**
 * Evaluates a metric math expression of numbers, IF, FILL and AND. Without data of a metric that
 * FILL does not fill, there is no result.
 */
function evaluate(expression: string, found: ReadonlyMap<string, number>): number | undefined {
  const filled = expression.replaceAll(/FILL\((\w+), (\d+)\)/g, (_, id, other) =>
    String(found.get(id) ?? other),
  );
  const ids = [...filled.matchAll(/[a-z]\w*/g)].map(([id]) => id);
  if (ids.some((id) => !found.has(id))) return undefined;
  const known = filled.replaceAll(/[a-z]\w*/g, (id) => String(found.get(id)));
  const script = known.replaceAll(' AND ', ' && ').replaceAll('IF(', 'choose(');
  const choose = (condition: boolean, yes: number, no: number) => (condition ? yes : no);
  return new Function('choose', `return ${script};`)(choose);
}
