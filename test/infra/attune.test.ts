import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { expect, test } from 'vitest';
import { Attune } from '../../infra/attune.ts';
import type { AttuneProps } from '../../infra/attune-props.ts';
import { allowances, policyStatements } from './template.ts';

function inStack(region: string | undefined, propsOf: (stack: Stack) => AttuneProps = () => ({})) {
  const app = new App({ context: { 'aws:cdk:bundling-stacks': [] }, builtinCloudFormationValidation: false });
  const stack = new Stack(app, 'Shop', region === undefined ? {} : { env: { region } });
  const attune = new Attune(stack, 'Films', propsOf(stack));
  return { stack, attune, template: () => Template.fromStack(stack) };
}

test('personalize has a URL in regions with function URLs, and none elsewhere or with url: false', () => {
  inStack('eu-west-1').template().resourceCountIs('AWS::Lambda::Url', 1);
  inStack('eu-central-2').template().resourceCountIs('AWS::Lambda::Url', 0);
  inStack('eu-west-1', () => ({ url: false }))
    .template()
    .resourceCountIs('AWS::Lambda::Url', 0);
});

test('a URL or a budget in a region without them is refused during synthesis', () => {
  expect(() => inStack('eu-central-2', () => ({ url: true }))).toThrow('url: found true in eu-central-2');
  const budget = { alarmEmail: 'a@example.org', monthlyBudget: 5 };
  expect(() => inStack('eu-north-1', () => budget)).toThrow('monthlyBudget: found 5 in eu-north-1');
});

test('a property that Attune does not have is refused by name', () => {
  expect(() => inStack(undefined, () => ({ rnk: 4 }) as AttuneProps)).toThrow(
    'rnk: found an unknown property',
  );
});

test('an existing bucket and table are used in place of new ones', () => {
  const { template, attune } = inStack(undefined, (stack) => ({
    bucket: Bucket.fromBucketName(stack, 'Bucket', 'mine'),
    table: TableV2.fromTableName(stack, 'Table', 'episodes'),
  }));
  expect(attune.bucket.bucketName).toBe('mine');
  template().resourceCountIs('AWS::S3::Bucket', 0);
  template().resourceCountIs('AWS::DynamoDB::GlobalTable', 0);
});

test('a key encrypts bucket and queues, and functions run in the VPC that was named', () => {
  const { template } = inStack('eu-west-1', (stack) => ({
    encryptionKey: new Key(stack, 'Key'),
    vpc: new Vpc(stack, 'Vpc'),
  }));
  for (const { Properties } of Object.values(template().findResources('AWS::SQS::Queue')))
    expect(Properties).toHaveProperty('KmsMasterKeyId');
  const may = allowances(policyStatements(template(), 'FilmsPersonalizeRole'));
  expect(may).toContain('kms:Decrypt Key');
  expect(may).toContain('ec2:CreateNetworkInterface *');
});

test('a key in a stack without a region is refused, because the table would fail', () => {
  expect(() => inStack(undefined, (stack) => ({ encryptionKey: new Key(stack, 'Key') }))).toThrow(
    'encryptionKey: found a stack without a region',
  );
});

test('an application with the grants may publish and request, and nothing else', () => {
  const { stack, attune, template } = inStack('eu-west-1');
  const role = new Role(stack, 'App', { assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com') });
  attune.grantPublish(role);
  attune.grantPersonalize(role);
  expect(allowances(policyStatements(template(), 'AppDefaultPolicy'))).toEqual([
    'lambda:InvokeFunction FilmsPersonalize',
    'lambda:InvokeFunctionUrl FilmsPersonalize',
    'sqs:SendMessage FilmsFeedbackQueue',
  ]);
});
