import { Duration, Validations } from 'aws-cdk-lib';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Construct } from 'constructs';
import { PREFIX } from '../shared/config/names.ts';
import type { AdapterBucket } from './adapter-bucket.ts';
import { AttuneFunction } from './attune-function.ts';
import type { FeedbackQueue } from './feedback-queue.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** Also sets the visibility timeout of the queue. */
export const UPDATE_TIMEOUT = Duration.seconds(30);

export interface UpdateAdaptersProps {
  readonly environment: Record<string, string>;
  readonly feedback: FeedbackQueue;
  readonly adapters: AdapterBucket;
  readonly bank: ReasoningTable;
  /** Batches that are applied at the same time, at most. */
  readonly maxConcurrency: number;
}

/** The function that applies feedback events to adapters, with its subscription to the queue. */
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
    adapters.allowObjects(this, ['s3:GetObject'], [PREFIX.basis, PREFIX.skills]);
    adapters.allowObjects(this, ['s3:PutObject'], [PREFIX.quarantine, PREFIX.pending]);
    adapters.allowListing(this);
    bank.allowItems(this, ['dynamodb:PutItem']);
    Validations.of(this).acknowledge(
      {
        id: 'Serverless-LambdaDLQ',
        reason:
          'It is invoked by its queue only, and never asynchronously; the queue has a dead-letter queue.',
      },
      {
        id: 'Serverless-LambdaEventSourceMappingDestination',
        reason:
          'An SQS event source takes no failure destination: the queue redrives to its dead-letter queue.',
      },
    );
    // No batching window: a FIFO queue takes none, and feedback is to take effect at once.
    this.addEventSource(
      new SqsEventSource(props.feedback.queue, {
        batchSize: 10,
        reportBatchItemFailures: true,
        maxConcurrency: props.maxConcurrency,
      }),
    );
  }
}
