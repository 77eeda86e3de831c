import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { expect, test } from 'vitest';
import { Attune } from '../../infra/attune.ts';
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

test('two instances in one stack share no name, and each alarm and dashboard reads its own metrics', () => {
  const app = new App({
    builtinCloudFormationValidation: false,
    context: { 'aws:cdk:bundling-stacks': [] },
  });
  const stack = new Stack(app, 'Shop');
  const films = new Attune(stack, 'Films', settings);
  const books = new Attune(stack, 'Books', settings);
  const template = Template.fromStack(stack).toJSON();
  const resources = Object.entries<{ Type: string; Properties: Record<string, unknown> }>(template.Resources);
  for (const [instance, own, other] of [
    ['Films', films, books],
    ['Books', books, films],
  ] as const) {
    const mine = resources.filter(([logicalId]) => logicalId.startsWith(instance));
    const text = JSON.stringify(mine);
    expect(text).not.toContain(other.deploymentName);
    const read = [...text.matchAll(/"Name":"stack","Value":"([^"]*)"/g)].map(([, value]) => value);
    expect(new Set(read)).toEqual(new Set([own.deploymentName]));
    expect(mine.filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm')).toHaveLength(own.alarms.length);
    const refersTo = [...text.matchAll(/"(?:Ref|Fn::GetAtt)":\[?"([^"]+)"/g)].map(([, id]) => id!);
    expect(refersTo.filter((id) => id.startsWith(instance === 'Films' ? 'Books' : 'Films'))).toEqual([]);
  }
  const names = resources.flatMap(([, { Properties }]) =>
    ['QueueName', 'DashboardName'].flatMap((name) =>
      name in (Properties ?? {}) ? [JSON.stringify(Properties[name])] : [],
    ),
  );
  expect(names).toHaveLength(4);
  expect(new Set(names).size).toBe(4);
});
