import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { type IVpc, SecurityGroup, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { expect, test } from 'vitest';
import { Attune } from '../../infra/attune.ts';
import type { AttuneProps } from '../../infra/attune-props.ts';

function templateOf(props: AttuneProps | ((stack: Stack) => AttuneProps)): Template {
  const stack = new Stack(
    new App({ context: { 'aws:cdk:bundling-stacks': [] }, builtinCloudFormationValidation: false }),
    'Shop',
    {
      env: { region: 'eu-west-1' },
    },
  );
  new Attune(stack, 'Films', typeof props === 'function' ? props(stack) : props);
  return Template.fromStack(stack);
}

const everyFunction = (variables: Record<string, string>) => (template: Template) =>
  template.resourcePropertiesCountIs(
    'AWS::Lambda::Function',
    { Environment: { Variables: Match.objectLike(variables) } },
    3,
  );
const has = (type: string, properties: object) => (template: Template) =>
  template.hasResourceProperties(type, properties);
const memoryOf = (description: string, MemorySize: number) =>
  has('AWS::Lambda::Function', { Description: Match.stringLikeRegexp(description), MemorySize });

test.each<[AttuneProps, (template: Template) => void]>([
  [{ embeddingDim: 384 }, everyFunction({ ATTUNE_EMBEDDING_DIM: '384' })],
  [{ embeddingModel: 'text-small' }, everyFunction({ ATTUNE_EMBEDDING_MODEL: 'text-small' })],
  [{ rank: 8 }, everyFunction({ ATTUNE_RANK: '8' })],
  [{ scalingFactor: 2 }, everyFunction({ ATTUNE_SCALING_FACTOR: '2' })],
  [
    { learner: 'sgd', learningRate: 0.5, exploration: 0.1 },
    everyFunction({ ATTUNE_LEARNER: 'sgd', ATTUNE_LEARNING_RATE: '0.5', ATTUNE_EXPLORATION: '0.1' }),
  ],
  [{ episodeTtlDays: 7 }, everyFunction({ ATTUNE_EPISODE_TTL_DAYS: '7' })],
  [{ transfer: 'off' }, everyFunction({ ATTUNE_TRANSFER: 'off' })],
  [{ holdout: 0.05 }, everyFunction({ ATTUNE_HOLDOUT: '0.05' })],
  [
    { consolidationSchedule: 'rate(2 hours)' },
    has('AWS::Scheduler::Schedule', { ScheduleExpression: 'rate(2 hours)' }),
  ],
  [
    { maxConcurrency: 20 },
    has('AWS::Lambda::EventSourceMapping', { ScalingConfig: { MaximumConcurrency: 20 } }),
  ],
  [{ updateMemory: 1024 }, memoryOf('applies feedback', 1024)],
  [{ personalizeMemory: 2048 }, memoryOf('scores and recommends', 2048)],
  [{ consolidateMemory: 3008 }, memoryOf('population model', 3008)],
  [
    { tableMaxReadUnits: 7, tableMaxWriteUnits: 9 },
    has('AWS::DynamoDB::GlobalTable', {
      WriteOnDemandThroughputSettings: { MaxWriteRequestUnits: 9 },
      Replicas: [Match.objectLike({ ReadOnDemandThroughputSettings: { MaxReadRequestUnits: 7 } })],
    }),
  ],
  [
    { logRetentionDays: 90 },
    (template) => template.resourcePropertiesCountIs('AWS::Logs::LogGroup', { RetentionInDays: 90 }, 3),
  ],
  [{ url: false }, (template) => template.resourceCountIs('AWS::Lambda::Url', 0)],
  [{ alarms: false }, (template) => template.resourceCountIs('AWS::CloudWatch::Alarm', 0)],
  [{ dashboard: false }, (template) => template.resourceCountIs('AWS::CloudWatch::Dashboard', 0)],
  [
    { alarmEmail: 'a@example.org', monthlyBudget: 25 },
    (template) => {
      template.hasResourceProperties('AWS::SNS::Subscription', {
        Endpoint: 'a@example.org',
        Protocol: 'email',
      });
      template.hasResourceProperties('AWS::Budgets::Budget', {
        Budget: { BudgetLimit: { Amount: 25, Unit: 'USD' } },
      });
    },
  ],
])('%j reaches the template', (props, expectation) => {
  expectation(templateOf(props));
});

test('removalPolicy destroy takes bucket and table away with the stack, and empties the bucket before', () => {
  const template = templateOf({ removalPolicy: 'destroy' });
  template.hasResource('AWS::S3::Bucket', { DeletionPolicy: 'Delete' });
  template.hasResource('AWS::DynamoDB::GlobalTable', { DeletionPolicy: 'Delete' });
  template.resourceCountIs('Custom::S3AutoDeleteObjects', 1);
});

test('alarms use a given topic, and no new one is created', () => {
  const template = templateOf((stack) => ({ alarmTopic: new Topic(stack, 'Operators') }));
  template.resourceCountIs('AWS::SNS::Topic', 1);
  template.resourceCountIs('AWS::SNS::Subscription', 0);
  const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'));
  for (const { Properties } of alarms) expect(JSON.stringify(Properties.AlarmActions)).toContain('Operators');
});

test('functions run in the subnets and with the security groups that were named', () => {
  const template = templateOf((stack) => {
    const vpc = new Vpc(stack, 'Vpc', { subnetConfiguration: SUBNETS }) as IVpc;
    const group = new SecurityGroup(stack, 'Group', { vpc });
    return { vpc, vpcSubnets: { subnetGroupName: 'Inner' }, securityGroups: [group] };
  });
  const functions = Object.values(template.findResources('AWS::Lambda::Function'));
  expect(functions).toHaveLength(3);
  for (const { Properties } of functions) {
    expect(JSON.stringify(Properties.VpcConfig.SubnetIds)).toMatch(/VpcInnerSubnet/);
    expect(JSON.stringify(Properties.VpcConfig.SecurityGroupIds)).toMatch(/"Group/);
  }
});

const SUBNETS = [
  { name: 'Outer', subnetType: SubnetType.PUBLIC },
  { name: 'Other', subnetType: SubnetType.PRIVATE_ISOLATED },
  { name: 'Inner', subnetType: SubnetType.PRIVATE_ISOLATED },
];
