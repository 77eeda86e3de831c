import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { PREFIX, TABLE } from '../shared/config/names.ts';
import { READ_ACTIONS } from './adapter-bucket.ts';
import { AttuneFunction, KEY_ACTIONS } from './attune-function.ts';
import type { DeploymentProps } from './deployment-props.ts';
import { queueEncryption } from './feedback-queue.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** Retries end after an hour, because later scheduled runs do the same work. */
const RETRY = { attempts: 2, maxAge: Duration.hours(1) };

export interface ConsolidatePatternsProps extends DeploymentProps {
  readonly bank: ReasoningTable;
}

/**
 * The function that learns the population model from episodes, its schedule, and the queue for
 * failed runs.
 */
export class ConsolidatePatterns extends Construct {
  readonly function: AttuneFunction;
  /** Receives runs that the scheduler could not start and runs that failed every retry. */
  readonly failures: Queue;

  constructor(scope: Construct, id: string, props: ConsolidatePatternsProps) {
    super(scope, id);
    // A standard queue: the scheduler and Lambda's failure destination cannot send to a FIFO queue.
    this.failures = new Queue(this, 'Failures', {
      ...queueEncryption(props.encryptionKey),
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(this.failures).acknowledge(
      ...['AwsSolutions-SQS3', 'Serverless-SQSRedrivePolicy'].map((id) => ({
        id,
        reason: 'This queue is the dead-letter queue of the schedule and the function.',
      })),
    );
    this.function = new AttuneFunction(this, 'Function', {
      ...props,
      folder: 'consolidate-patterns',
      description: 'learns the population model from episodes',
      timeout: Duration.minutes(5),
      memorySize: props.settings.consolidateMemory,
    });
    Validations.of(this.function).acknowledge({
      id: 'Serverless-LambdaDLQ',
      reason: 'Its failure destination is that queue, and the record also contains the error.',
    });
    this.function.configureAsyncInvoke({
      retryAttempts: RETRY.attempts,
      maxEventAge: RETRY.maxAge,
      // SqsDestination would also grant sqs:GetQueueUrl and sqs:GetQueueAttributes, which nobody
      // calls.
      onFailure: { bind: () => ({ destination: this.failures.queueArn }) },
    });
    this.grantAccess(props);
    this.scheduleRuns(props);
  }

  private grantAccess({ adapters, bank, settings, encryptionKey }: ConsolidatePatternsProps): void {
    this.function.allow(['sqs:SendMessage'], [this.failures.queueArn]);
    adapters.allowObjects(
      this.function,
      [...READ_ACTIONS, 's3:PutObject'],
      [PREFIX.skills, PREFIX.catalogue],
    );
    adapters.allowObjects(this.function, ['s3:GetObject', 's3:PutObject'], [PREFIX.consolidation]);
    adapters.allowObjects(this.function, READ_ACTIONS, [PREFIX.basis]);
    adapters.allowObjects(this.function, ['s3:GetObject', 's3:DeleteObject'], [PREFIX.pending]);
    adapters.allowListing(this.function);
    bank.allowItems(this.function, ['dynamodb:PutItem']);
    bank.allowIndexQueries(this.function, [TABLE.byCell.index]);
    if (settings.learner === 'sgd') {
      // A strategy builds on the one before.
      bank.allowItems(this.function, ['dynamodb:GetItem']);
    } else {
      adapters.allowObjects(this.function, ['s3:GetObject'], [PREFIX.adapters]);
      adapters.allowObjects(this.function, ['s3:PutObject'], [PREFIX.basis]);
      // Reads an earlier version when the newest is damaged.
      adapters.allowObjects(this.function, ['s3:GetObjectVersion'], [PREFIX.consolidation]);
      bank.allowIndexQueries(this.function, [TABLE.newcomers.index]);
    }
    encryptionKey?.grant(this.function, ...KEY_ACTIONS);
  }

  /**
   * Uses CfnSchedule, because the target of the Schedule construct would also grant all function
   * versions.
   */
  private scheduleRuns({ settings, encryptionKey }: ConsolidatePatternsProps): void {
    const role = new Role(this, 'SchedulerRole', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
      description: 'Attune: starts consolidation',
    });
    role.addToPolicy(
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [this.function.functionArn] }),
    );
    role.addToPolicy(
      new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [this.failures.queueArn] }),
    );
    encryptionKey?.grant(role, 'kms:GenerateDataKey', 'kms:Decrypt');
    const schedule = new CfnSchedule(this, 'Schedule', {
      description: 'Starts the consolidation of Attune',
      scheduleExpression: settings.consolidationSchedule,
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: this.function.functionArn,
        roleArn: role.roleArn,
        deadLetterConfig: { arn: this.failures.queueArn },
        retryPolicy: {
          maximumRetryAttempts: RETRY.attempts,
          maximumEventAgeInSeconds: RETRY.maxAge.toSeconds(),
        },
      },
    });
    // A schedule refers to the role only; the dependency on its policy prevents a denied first run.
    schedule.node.addDependency(role);
  }
}
