import { expect, it } from 'vitest';
import { Metrics } from '../../../infra/local/metrics.ts';

const emf = (values: object, ...names: string[]) =>
  JSON.stringify({
    _aws: {
      Timestamp: 0,
      CloudWatchMetrics: [
        { Namespace: 'Attune', Dimensions: [[]], Metrics: names.map((Name) => ({ Name })) },
      ],
    },
    ...values,
  });

it('metrics are collected from EMF lines with one value or several', () => {
  const metrics = new Metrics();
  metrics.record(emf({ Updates: 2, Latency: [5, 7] }, 'Updates', 'Latency'));
  metrics.record(emf({ Updates: 3, Unlisted: 9 }, 'Updates'));
  expect(metrics.values('Unlisted')).toEqual([]);
  expect([metrics.sum('Updates'), metrics.sum('Latency')]).toEqual([5, 12]);
  expect(metrics.values('Latency')).toEqual([5, 7]);
});

it('an unknown metric has no values and the sum zero', () => {
  const metrics = new Metrics();
  expect([metrics.values('Updates'), metrics.sum('Updates')]).toEqual([[], 0]);
});

it.each([
  'plain text',
  '{"level":"INFO"}',
  '{"_aws":',
  'null "_aws"',
  '{"_aws":{}}',
  '{"_aws":1}',
  emf({ A: 'x' }, 'A'),
])('a line that is not EMF or has no numbers adds no values: %s', (line) => {
  const metrics = new Metrics();
  metrics.record(line);
  expect(['A', 'level', ''].flatMap((name) => metrics.values(name))).toEqual([]);
});
