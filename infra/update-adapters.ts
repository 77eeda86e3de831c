import { Duration, Names, Validations } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { PREFIX, VARIABLE } from '../shared/config/names.ts';
import { READ_ACTIONS } from './adapter-bucket.ts';
import { AttuneFunction, KEY_ACTIONS } from './attune-function.ts';
import type { DeploymentProps } from './deployment-props.ts';
import type { FeedbackQueue } from './feedback-queue.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** The visibility timeout of the queue depends on it. */
export const UPDATE_TIMEOUT = Duration.seconds(30);

export interface UpdateAdaptersProps extends DeploymentProps {
  readonly feedback: FeedbackQueue;
  readonly bank: ReasoningTable;
}

/** The function that applies feedback events to adapters, with its event source. */
export class UpdateAdapters extends AttuneFunction {
  constructor(scope: Construct, id: string, props: UpdateAdaptersProps) {
    super(scope, id, {
      ...props,
      folder: 'update-adapters',
      description: 'applies feedback events to adapters',
      timeout: UPDATE_TIMEOUT,
      memorySize: props.settings.updateMemory,
      environment: {
        ...props.environment,
        [VARIABLE.queueUrl]: props.feedback.queue.queueUrl,
        [VARIABLE.longestRetrySeconds]: String(props.feedback.visibilityTimeout.toSeconds()),
      },
    });
    const { adapters, bank, feedback } = props;
    adapters.allowObjects(this, ['s3:GetObject', 's3:PutObject'], [PREFIX.adapters]);
    adapters.allowObjects(this, READ_ACTIONS, [PREFIX.basis, PREFIX.skills, PREFIX.catalogue]);
    adapters.allowObjects(this, ['s3:PutObject'], [PREFIX.quarantine, PREFIX.pending]);
    adapters.allowListing(this);
    bank.allowItems(this, ['dynamodb:PutItem']);
    props.encryptionKey?.grant(this, ...KEY_ACTIONS);
    this.allow(
      ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility', 'sqs:GetQueueAttributes'],
      [feedback.queue.queueArn],
    );
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
    // immediately. SqsEventSource would also grant sqs:GetQueueUrl, which nobody calls. The id
    // equals the one of SqsEventSource, because another id would create a second mapping of the
    // same queue and fail.
    this.addEventSourceMapping(`SqsEventSource:${Names.nodeUniqueId(feedback.queue.node)}`, {
      eventSourceArn: feedback.queue.queueArn,
      batchSize: 10,
      reportBatchItemFailures: true,
      maxConcurrency: props.settings.maxConcurrency,
    });
  }
}
