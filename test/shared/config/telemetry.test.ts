import { expect, test } from 'vitest';
import { createTelemetry, MetricUnit } from '../../../shared/config/telemetry.ts';

function dimensionsOf(env: Record<string, string>) {
  const { metrics } = createTelemetry(env);
  metrics.addMetric('Updates', MetricUnit.Count, 1);
  const { _aws, ...values } = metrics.serializeMetrics();
  metrics.clearMetrics();
  return { sets: _aws.CloudWatchMetrics[0]?.Dimensions, values };
}

test('metrics of two deployments of one account differ in the dimension stack', () => {
  for (const stack of ['Attune', 'Attune-test']) {
    const { sets, values } = dimensionsOf({ ATTUNE_DEPLOYMENT: stack });
    expect(sets).toEqual([['service', 'stack']]);
    expect(values).toMatchObject({ service: 'attune', stack, Updates: 1 });
  }
});

test('metrics of a function without a deployment name have only the dimension service', () => {
  expect(dimensionsOf({}).sets).toEqual([['service']]);
});
