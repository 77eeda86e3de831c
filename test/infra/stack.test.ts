import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { LEASE_MS } from '../../functions/consolidate-patterns/consolidate.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { synthesizedTemplate } from './template.ts';

const template = synthesizedTemplate();

function only(type: string) {
  const found = Object.values(template.findResources(type));
  expect(found).toHaveLength(1);
  return found[0]?.Properties;
}

function byLogicalId(type: string, prefix: string) {
  const found = Object.entries(template.findResources(type)).filter(([id]) => id.startsWith(prefix));
  expect(found).toHaveLength(1);
  return found[0]?.[1].Properties;
}

describe('the feedback queue', () => {
  const queue = byLogicalId('AWS::SQS::Queue', 'FeedbackQueue');
  const deadLetters = byLogicalId('AWS::SQS::Queue', 'FeedbackDeadLetters');

  test('has a visibility timeout of at least six times the timeout of update-adapters', () => {
    const { Timeout } = byLogicalId('AWS::Lambda::Function', 'UpdateAdapters');
    expect(Timeout).toBe(30);
    expect(queue.VisibilityTimeout).toBeGreaterThanOrEqual(6 * Timeout);
  });

  test('is FIFO with throughput and deduplication per user', () => {
    expect(queue).toMatchObject({
      FifoQueue: true,
      DeduplicationScope: 'messageGroup',
      FifoThroughputLimit: 'perMessageGroupId',
      MaximumMessageSize: 262_144,
    });
  });

  test('moves a message after ten receives to a FIFO dead-letter queue that keeps it for 14 days', () => {
    expect(queue.RedrivePolicy.maxReceiveCount).toBe(10);
    const target = queue.RedrivePolicy.deadLetterTargetArn['Fn::GetAtt'][0];
    expect(target).toMatch(/^FeedbackDeadLetters/);
    expect(deadLetters).toMatchObject({ FifoQueue: true, MessageRetentionPeriod: 14 * 24 * 3600 });
  });

  test('is the only source of its dead-letter queue', () => {
    expect(deadLetters.RedriveAllowPolicy.redrivePermission).toBe('byQueue');
    expect(deadLetters.RedriveAllowPolicy.sourceQueueArns).toHaveLength(1);
    expect(deadLetters.RedriveAllowPolicy.sourceQueueArns[0]['Fn::Join'][1].at(-1)).toBe(
      `:${queue.QueueName}`,
    );
  });
});

test('every queue is encrypted and refuses requests without TLS', () => {
  const queues = Object.entries(template.findResources('AWS::SQS::Queue'));
  expect(queues).toHaveLength(3);
  const policies = Object.values(template.findResources('AWS::SQS::QueuePolicy'));
  for (const [logicalId, { Properties }] of queues) {
    expect(Properties.SqsManagedSseEnabled).toBe(true);
    const policy = policies.find(({ Properties }) => Properties.Queues[0].Ref === logicalId);
    expect(policy?.Properties.PolicyDocument.Statement).toContainEqual(
      expect.objectContaining({
        Effect: 'Deny',
        Action: 'sqs:*',
        Principal: { AWS: '*' },
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      }),
    );
  }
});

test('update-adapters receives up to ten messages per batch, reports failed ones, and has a concurrency limit', () => {
  const mapping = only('AWS::Lambda::EventSourceMapping');
  expect(mapping).toMatchObject({
    BatchSize: 10,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ScalingConfig: { MaximumConcurrency: 5 },
  });
  expect(mapping).not.toHaveProperty('MaximumBatchingWindowInSeconds');
  expect(mapping.EventSourceArn['Fn::GetAtt'][0]).toMatch(/^FeedbackQueue/);
  expect(mapping.FunctionName.Ref).toMatch(/^UpdateAdapters/);
});

describe('the bucket', () => {
  const bucket = only('AWS::S3::Bucket');
  const statements = only('AWS::S3::BucketPolicy').PolicyDocument.Statement;

  test('is private, encrypted, owned by its account and versioned, and outlives the stack unless its first deployment fails', () => {
    expect(bucket.PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
    expect(
      bucket.BucketEncryption.ServerSideEncryptionConfiguration[0].ServerSideEncryptionByDefault.SSEAlgorithm,
    ).toBe('AES256');
    expect(bucket.OwnershipControls.Rules).toEqual([{ ObjectOwnership: 'BucketOwnerEnforced' }]);
    expect(bucket.VersioningConfiguration.Status).toBe('Enabled');
    template.hasResource('AWS::S3::Bucket', {
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    });
  });

  test('refuses requests without TLS and requests below TLS 1.2', () => {
    for (const Condition of [
      { Bool: { 'aws:SecureTransport': 'false' } },
      { NumericLessThan: { 's3:TlsVersion': 1.2 } },
    ]) {
      expect(statements).toContainEqual(
        expect.objectContaining({ Effect: 'Deny', Action: 's3:*', Condition }),
      );
    }
  });

  test('refuses the write of an adapter without If-Match and If-None-Match', () => {
    const refusal = statements.find(({ Action }: { Action: string }) => Action === 's3:PutObject');
    expect(refusal).toMatchObject({
      Effect: 'Deny',
      Principal: { AWS: '*' },
      Condition: {
        Null: { 's3:if-match': 'true', 's3:if-none-match': 'true' },
        Bool: { 's3:ObjectCreationOperation': 'true' },
      },
    });
    expect(refusal.Resource['Fn::Join'][1].at(-1)).toBe('/adapters/*');
  });

  test('keeps ten noncurrent versions of adapters, basis and population model, and quarantined events for 14 days', () => {
    const rules: Record<string, unknown>[] = bucket.LifecycleConfiguration.Rules;
    const rule = (prefix: string) => rules.find(({ Prefix }) => Prefix === prefix);
    for (const prefix of ['adapters/', 'basis/', 'skills/']) {
      expect(rule(prefix)).toMatchObject({
        NoncurrentVersionExpiration: { NoncurrentDays: 30, NewerNoncurrentVersions: 10 },
      });
      expect(rule(prefix)).not.toHaveProperty('ExpirationInDays');
    }
    expect(rule('quarantine/')).toMatchObject({ ExpirationInDays: 14 });
    for (const prefix of ['pending/', 'consolidation/', 'catalogue/']) {
      expect(rule(prefix)).toMatchObject({ NoncurrentVersionExpiration: { NoncurrentDays: 1 } });
      expect(rule(prefix)).not.toHaveProperty('ExpirationInDays');
    }
    const everywhere = rules.filter(({ Prefix }) => Prefix === undefined);
    expect(everywhere).toHaveLength(1);
    expect(everywhere[0]).toMatchObject({
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      ExpiredObjectDeleteMarker: true,
    });
    expect(everywhere[0]).not.toHaveProperty('NoncurrentVersionExpiration');
  });
});

describe('the table', () => {
  const table = only('AWS::DynamoDB::GlobalTable');

  test('has on-demand billing with a limit, point-in-time recovery and expiry of items', () => {
    expect(table.BillingMode).toBe('PAY_PER_REQUEST');
    expect(table.WriteOnDemandThroughputSettings).toEqual({ MaxWriteRequestUnits: 1000 });
    expect(table.TimeToLiveSpecification).toEqual({ AttributeName: 'expiresAt', Enabled: true });
    expect(table.Replicas).toHaveLength(1);
    expect(table.Replicas[0]).toMatchObject({
      ReadOnDemandThroughputSettings: { MaxReadRequestUnits: 1000 },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    });
    for (const index of table.Replicas[0].GlobalSecondaryIndexes) {
      expect(index.ReadOnDemandThroughputSettings).toEqual({ MaxReadRequestUnits: 1000 });
    }
  });

  test('outlives the stack, but not a first deployment that fails, which could not remove a protected table', () => {
    expect(table.Replicas[0].DeletionProtectionEnabled).toBeFalsy();
    template.hasResource('AWS::DynamoDB::GlobalTable', {
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    });
  });

  test('has an index of whole episodes by cell and an index of keys and expiry by new user, both in storage order', () => {
    const keys = (...names: string[]) =>
      names.map((AttributeName, i) => ({ AttributeName, KeyType: i === 0 ? 'HASH' : 'RANGE' }));
    expect(table.KeySchema).toEqual(keys('pk', 'sk'));
    expect(table.GlobalSecondaryIndexes).toEqual([
      expect.objectContaining({
        IndexName: 'by-cell',
        KeySchema: keys('cell', 'storedAt'),
        Projection: { ProjectionType: 'ALL' },
      }),
      expect.objectContaining({
        IndexName: 'newcomers',
        KeySchema: keys('newcomer', 'storedAt'),
        Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['expiresAt'] },
      }),
    ]);
  });
});

describe('every function', () => {
  const functions = Object.values(template.findResources('AWS::Lambda::Function'));

  test('runs Node 24 on arm64 with tracing and JSON logs, and reads no source map', () => {
    expect(functions).toHaveLength(3);
    for (const { Properties } of functions) {
      expect(Properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        TracingConfig: { Mode: 'Active' },
        LoggingConfig: { LogFormat: 'JSON', ApplicationLogLevel: 'INFO' },
      });
      expect(Properties.Environment.Variables).not.toHaveProperty('NODE_OPTIONS');
    }
  });

  test('has its own log group with a retention of 30 days', () => {
    const groups = template.findResources('AWS::Logs::LogGroup', { Properties: { RetentionInDays: 30 } });
    const used = functions.map(({ Properties }) => Properties.LoggingConfig.LogGroup.Ref);
    expect(new Set(used)).toEqual(new Set(Object.keys(groups)));
    expect(new Set(used).size).toBe(3);
  });

  test('has its own role', () => {
    expect(new Set(functions.map(({ Properties }) => Properties.Role['Fn::GetAtt'][0])).size).toBe(3);
  });

  test('has 512 or 1024 MB of memory and a timeout that fits its work', () => {
    const size = (prefix: string) => {
      const { MemorySize, Timeout } = byLogicalId('AWS::Lambda::Function', prefix);
      return { MemorySize, Timeout };
    };
    expect(size('UpdateAdapters')).toEqual({ MemorySize: 512, Timeout: 30 });
    expect(size('ConsolidatePatterns')).toEqual({ MemorySize: 1024, Timeout: 300 });
    expect(size('Personalize')).toEqual({ MemorySize: 512, Timeout: 10 });
  });
});

test('personalize has a URL that requires an IAM signature', () => {
  const url = only('AWS::Lambda::Url');
  expect(url.AuthType).toBe('AWS_IAM');
  expect(url.TargetFunctionArn['Fn::GetAtt'][0]).toMatch(/^Personalize/);
  template.resourceCountIs('AWS::Lambda::Permission', 0);
});

describe('consolidation', () => {
  const schedule = only('AWS::Scheduler::Schedule');
  const failures = byLogicalId('AWS::SQS::Queue', 'ConsolidatePatternsFailures');

  test('is scheduled only after the policy of the role that starts it', () => {
    const [resource] = Object.values(template.findResources('AWS::Scheduler::Schedule'));
    expect(resource?.DependsOn).toContainEqual(
      expect.stringMatching(/^ConsolidatePatternsSchedulerRoleDefaultPolicy/),
    );
  });

  test('has a lease that is longer than its timeout', () => {
    const { Timeout } = byLogicalId('AWS::Lambda::Function', 'ConsolidatePatterns');
    expect(LEASE_MS).toBeGreaterThan(Timeout * 1000);
  });

  test('runs every 15 minutes, and runs that cannot start go to a standard queue', () => {
    expect(schedule).toMatchObject({
      ScheduleExpression: 'rate(15 minutes)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: { RetryPolicy: { MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 3600 } },
    });
    expect(schedule.Target.Arn['Fn::GetAtt'][0]).toMatch(/^ConsolidatePatternsFunction/);
    expect(schedule.Target.DeadLetterConfig.Arn['Fn::GetAtt'][0]).toMatch(/^ConsolidatePatternsFailures/);
    expect(failures).not.toHaveProperty('FifoQueue');
    expect(failures.MessageRetentionPeriod).toBe(14 * 24 * 3600);
  });

  test('sends runs that fail every retry to the same queue', () => {
    const config = only('AWS::Lambda::EventInvokeConfig');
    expect(config).toMatchObject({ MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 3600 });
    expect(config.FunctionName.Ref).toMatch(/^ConsolidatePatternsFunction/);
    expect(config.DestinationConfig.OnFailure.Destination['Fn::GetAtt'][0]).toMatch(
      /^ConsolidatePatternsFailures/,
    );
  });
});

test('the outputs are exactly the names in OUTPUT', () => {
  expect(Object.keys(template.findOutputs('*')).sort()).toEqual(Object.values(OUTPUT).sort());
  template.hasOutput(OUTPUT.feedbackQueueUrl, { Value: { Ref: Match.stringLikeRegexp('^FeedbackQueue') } });
  template.hasOutput(OUTPUT.personalizeUrl, { Value: { 'Fn::GetAtt': Match.arrayWith(['FunctionUrl']) } });
});
