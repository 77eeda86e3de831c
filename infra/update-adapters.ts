import { Duration, Validations } from 'aws-cdk-lib';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Construct } from 'constructs';
import { PREFIX } from '../shared/config/names.ts';
import type { AdapterBucket } from './adapter-bucket.ts';
import { AttuneFunction } from './attune-function.ts';
import type { FeedbackQueue } from './feedback-queue.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** The visibility timeout of the queue depends on it. */
export const UPDATE_TIMEOUT = Duration.seconds(30);

export interface UpdateAdaptersProps {
  readonly environment: Record<string, string>;
  readonly feedback: FeedbackQueue;
  readonly adapters: AdapterBucket;
  readonly bank: ReasoningTable;
  /** Maximum number of concurrent batches. */
  readonly maxConcurrency: number;
}

/** The function that applies feedback events to adapters, with its event source. */
export class UpdateAdapters extends AttuneFunction {
  constructor(scope: Construct, id: string, props: UpdateAdaptersProps) {
    super(scope, id, {
      folder: 'update-adapters',
      description: 'applies feedback events to adapters',
      timeout: UPDATE_TIMEOUT,
      memorySize: 512,
      environment: props.environment,
    });
    const { adapters, bank } = props;
    adapters.allowObjects(this, ['s3:GetObject', 's3:PutObject'], [PREFIX.adapters]);
    adapters.allowObjects(this, ['s3:GetObject'], [PREFIX.basis, PREFIX.skills, PREFIX.catalogue]);
    adapters.allowObjects(this, ['s3:PutObject'], [PREFIX.quarantine, PREFIX.pending]);
    adapters.allowListing(this);
    bank.allowItems(this, ['dynamodb:PutItem']);
    Validations.of(this).acknowledge(
      {
        id: 'Serverless-LambdaDLQ',
        reason: 'Only its queue invokes it, never asynchronously, and the queue has a dead-letter queue.',
      },
      {
        id: 'Serverless-LambdaEventSourceMappingDestination',
        reason: 'An SQS event source has no failure destination; the queue has a dead-letter queue.',
      },
    );
    // No batching window: FIFO queues do not support one, and feedback should take effect
    // immediately.
    this.addEventSource(
      new SqsEventSource(props.feedback.queue, {
        batchSize: 10,
        reportBatchItemFailures: true,
        maxConcurrency: props.maxConcurrency,
      }),
    );
  }
}
