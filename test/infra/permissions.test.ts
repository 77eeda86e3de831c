import { describe, expect, test } from 'vitest';
import { allowances, list, policyStatements, synthesizedTemplate } from './template.ts';

const template = synthesizedTemplate();
const tracing = ['xray:PutTelemetryRecords *', 'xray:PutTraceSegments *'];
const logging = (logs: string) => [`logs:CreateLogStream ${logs}`, `logs:PutLogEvents ${logs}`];

test('no statement has a wildcard action, and only tracing has a wildcard resource', () => {
  const statements = policyStatements(template);
  expect(statements.length).toBeGreaterThan(10);
  for (const { Action, Resource } of statements) {
    for (const action of list(Action)) {
      expect(action).not.toContain('*');
      if (list(Resource).includes('*')) expect(action).toMatch(/^xray:Put(TraceSegments|TelemetryRecords)$/);
    }
  }
});

test('no role has managed or inline policies, and each role trusts one service', () => {
  const roles = Object.values(template.findResources('AWS::IAM::Role'));
  expect(roles).toHaveLength(4);
  for (const { Properties } of roles) {
    expect(Properties).not.toHaveProperty('ManagedPolicyArns');
    expect(Properties).not.toHaveProperty('Policies');
    const [trust, ...others] = Properties.AssumeRolePolicyDocument.Statement;
    expect(others).toEqual([]);
    expect(trust.Principal.Service).toMatch(/^(lambda|scheduler)\.amazonaws\.com$/);
  }
  template.resourceCountIs('AWS::IAM::ManagedPolicy', 0);
});

describe('least privilege', () => {
  const may = (prefix: string) => allowances(policyStatements(template, prefix));

  test('update-adapters has exactly the permissions in this list', () => {
    expect(may('UpdateAdaptersRole')).toEqual(
      [
        ...tracing,
        ...logging('UpdateAdaptersLogs'),
        's3:GetObject AdaptersBucket/adapters/*',
        's3:PutObject AdaptersBucket/adapters/*',
        's3:GetObject AdaptersBucket/basis/*',
        's3:GetObject AdaptersBucket/catalogue/*',
        's3:GetObject AdaptersBucket/skills/*',
        's3:PutObject AdaptersBucket/quarantine/*',
        's3:PutObject AdaptersBucket/pending/*',
        's3:ListBucket AdaptersBucket',
        'dynamodb:PutItem ReasoningBankTable',
        'sqs:ChangeMessageVisibility FeedbackQueue',
        'sqs:DeleteMessage FeedbackQueue',
        'sqs:GetQueueAttributes FeedbackQueue',
        'sqs:ReceiveMessage FeedbackQueue',
      ].sort(),
    );
  });

  test('consolidate-patterns has exactly the permissions in this list', () => {
    expect(may('ConsolidatePatternsFunctionRole')).toEqual(
      [
        ...tracing,
        ...logging('ConsolidatePatternsFunctionLogs'),
        's3:GetObject AdaptersBucket/adapters/*',
        's3:GetObject AdaptersBucket/basis/*',
        's3:GetObject AdaptersBucket/catalogue/*',
        's3:PutObject AdaptersBucket/basis/*',
        's3:PutObject AdaptersBucket/catalogue/*',
        's3:GetObject AdaptersBucket/skills/*',
        's3:PutObject AdaptersBucket/skills/*',
        's3:GetObject AdaptersBucket/consolidation/*',
        's3:PutObject AdaptersBucket/consolidation/*',
        's3:GetObject AdaptersBucket/pending/*',
        's3:DeleteObject AdaptersBucket/pending/*',
        's3:ListBucket AdaptersBucket',
        'dynamodb:PutItem ReasoningBankTable',
        'dynamodb:Query ReasoningBankTable/index/by-cell',
        'dynamodb:Query ReasoningBankTable/index/newcomers',
        'sqs:SendMessage ConsolidatePatternsFailures',
      ].sort(),
    );
  });

  test('personalize has exactly the permissions in this list', () => {
    expect(may('PersonalizeRole')).toEqual(
      [
        ...tracing,
        ...logging('PersonalizeLogs'),
        's3:GetObject AdaptersBucket/adapters/*',
        's3:GetObject AdaptersBucket/basis/*',
        's3:GetObject AdaptersBucket/catalogue/*',
        's3:GetObject AdaptersBucket/skills/*',
        's3:ListBucket AdaptersBucket',
      ].sort(),
    );
  });

  test('consolidate-patterns may read the strategy before only for the learner sgd', () => {
    const statements = policyStatements(
      synthesizedTemplate({ learner: 'sgd' }),
      'ConsolidatePatternsFunctionRole',
    );
    expect(allowances(statements)).toContain('dynamodb:GetItem ReasoningBankTable');
  });

  test('the scheduler has exactly the permissions in this list', () => {
    expect(may('ConsolidatePatternsSchedulerRole')).toEqual([
      'lambda:InvokeFunction ConsolidatePatternsFunction',
      'sqs:SendMessage ConsolidatePatternsFailures',
    ]);
  });
});

test('s3:ListBucket has no condition on the prefix, so that S3 answers 404 and not 403 for a missing adapter', () => {
  const listing = policyStatements(template).filter(({ Action }) => list(Action).includes('s3:ListBucket'));
  expect(listing).toHaveLength(3);
  for (const statement of listing) expect(statement).not.toHaveProperty('Condition');
});
