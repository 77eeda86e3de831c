import { expect, test } from 'vitest';
import { synthesizedTemplate } from './template.ts';

const settings = { alarmEmail: 'a@example.org' };

/**
 * Every name that a resource gets from the template, by type, and the dimensions of Attune's
 * metrics.
 */
function namesOf(stackName: string): { names: string[]; dimensions: string[] } {
  const template = synthesizedTemplate({ ...settings, stackName }).toJSON();
  const resources = Object.values<{ Type: string; Properties?: Record<string, unknown> }>(template.Resources);
  const own = [
    'Name',
    'QueueName',
    'BucketName',
    'TableName',
    'FunctionName',
    'RoleName',
    'LogGroupName',
    'AlarmName',
    'DashboardName',
    'TopicName',
  ];
  const isName = (type: string, property: string) =>
    property !== 'FunctionName' || type === 'AWS::Lambda::Function';
  const names = resources.flatMap(({ Type, Properties = {} }) =>
    own.flatMap((property) =>
      property in Properties && isName(Type, property)
        ? [`${Type} ${JSON.stringify(Properties[property])}`]
        : [],
    ),
  );
  const dimensions = [...JSON.stringify(template).matchAll(/"Name":"stack","Value":"([^"]*)"/g)].map(
    ([, value]) => value!,
  );
  const exports = Object.values<{ Export?: { Name: string } }>(template.Outputs).flatMap(
    ({ Export }) => Export?.Name ?? [],
  );
  return { names: [...names, ...exports], dimensions };
}

test('two whole stacks in one account share no name, and neither sees the metrics of the other', () => {
  const first = namesOf('Attune-staging');
  const second = namesOf('Attune-production');
  expect(first.names).toEqual([
    'AWS::SQS::Queue "Attune-staging-feedback.fifo"',
    expect.stringContaining('AWS::CloudWatch::Dashboard'),
  ]);
  expect(first.names.filter((name) => second.names.includes(name))).toEqual([]);
  expect(new Set(first.dimensions)).toEqual(new Set(['Attune-staging']));
  expect(new Set(second.dimensions)).toEqual(new Set(['Attune-production']));
});
