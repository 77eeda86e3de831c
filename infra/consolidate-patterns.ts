import { Duration, Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { PREFIX } from '../shared/config/names.ts';
import type { AdapterBucket } from './adapter-bucket.ts';
import { AttuneFunction } from './attune-function.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** A failed run is tried again, but not for longer than this: the next one does its work as well. */
const RETRY = { attempts: 2, forAtMost: Duration.hours(1) };

export interface ConsolidatePatternsProps {
  readonly environment: Record<string, string>;
  readonly adapters: AdapterBucket;
  readonly bank: ReasoningTable;
  /** rate(...) or cron(...), in UTC. */
  readonly schedule: string;
}

/** The function that turns episodes into skills, its schedule, and the queue of runs that failed for good. */
export class ConsolidatePatterns extends Construct {
  readonly function: AttuneFunction;
  /** Runs that the scheduler could not start or that failed after all retries. */
  readonly failures: Queue;

  constructor(scope: Construct, id: string, props: ConsolidatePatternsProps) {
    super(scope, id);
    // Neither the scheduler nor Lambda's failure destination can send to a FIFO queue.
    this.failures = new Queue(this, 'Failures', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(this.failures).acknowledge(
      ...['AwsSolutions-SQS3', 'Serverless-SQSRedrivePolicy'].map((id) => ({
        id,
        reason: 'It is itself the dead-letter queue of the schedule and of the function.',
      })),
    );
    this.function = new AttuneFunction(this, 'Function', {
      folder: 'consolidate-patterns',
      description: 'turns episodes into skills',
      timeout: Duration.minutes(5),
      memorySize: 1024,
      environment: props.environment,
    });
    Validations.of(this.function).acknowledge({
      id: 'Serverless-LambdaDLQ',
      reason: 'Its failure destination is that queue, and tells the error as well.',
    });
    this.function.configureAsyncInvoke({
      retryAttempts: RETRY.attempts,
      maxEventAge: RETRY.forAtMost,
      onFailure: new SqsDestination(this.failures),
    });
    this.permit(props);
    this.scheduleRuns(props.schedule);
  }

  private permit({ adapters, bank }: ConsolidatePatternsProps): void {
    adapters.allowObjects(this.function, ['s3:GetObject'], [PREFIX.adapters]);
    adapters.allowObjects(
      this.function,
      ['s3:GetObject', 's3:PutObject'],
      [PREFIX.basis, PREFIX.skills, PREFIX.consolidation],
    );
    adapters.allowObjects(this.function, ['s3:GetObject', 's3:DeleteObject'], [PREFIX.pending]);
    adapters.allowListing(this.function);
    bank.allowItems(this.function, ['dynamodb:GetItem', 'dynamodb:PutItem']);
    bank.allowIndexQueries(this.function);
  }

  /** CfnSchedule, because the Schedule construct's target would also grant all versions of the function. */
  private scheduleRuns(scheduleExpression: string): void {
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
    new CfnSchedule(this, 'Schedule', {
      description: 'Consolidates what Attune learned',
      scheduleExpression,
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: this.function.functionArn,
        roleArn: role.roleArn,
        deadLetterConfig: { arn: this.failures.queueArn },
        retryPolicy: {
          maximumRetryAttempts: RETRY.attempts,
          maximumEventAgeInSeconds: RETRY.forAtMost.toSeconds(),
        },
      },
    });
  }
}
