import { Duration, Stack, Validations } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  DeduplicationScope,
  FifoThroughputLimit,
  Queue,
  QueueEncryption,
  type QueueProps,
  RedrivePermission,
} from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/**
 * Most receives before a message moves to the dead-letter queue. update-adapters redelivers failed
 * messages with a growing delay, so these last about eight minutes. Receives that Lambda throttles
 * count too.
 */
const MAX_RECEIVES = 10;
/** Bytes; the publisher and the functions have the same limit. */
const MAX_MESSAGE_BYTES = 256 * 1024;

const FIFO = {
  fifo: true,
  enforceSSL: true,
  maxMessageSizeBytes: MAX_MESSAGE_BYTES,
} satisfies QueueProps;

export interface FeedbackQueueProps {
  /** Timeout of the function that reads the queue. */
  readonly consumerTimeout: Duration;
  readonly deploymentName: string;
  readonly encryptionKey: IKey | undefined;
}

/** The encryption of a queue with this key, or with one of SQS. */
export function queueEncryption(key: IKey | undefined): QueueProps {
  if (key === undefined) return { encryption: QueueEncryption.SQS_MANAGED };
  return { encryption: QueueEncryption.KMS, encryptionMasterKey: key };
}

/** The FIFO queue of feedback events, ordered per user, with its dead-letter queue. */
export class FeedbackQueue extends Construct {
  readonly queue: Queue;
  readonly visibilityTimeout: Duration;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: FeedbackQueueProps) {
    super(scope, id);
    const common = { ...FIFO, ...queueEncryption(props.encryptionKey) };
    // Lambda recommends at least six times the function's timeout, so that a throttled batch stays
    // invisible.
    this.visibilityTimeout = Duration.seconds(6 * props.consumerTimeout.toSeconds());
    // A fixed name breaks the circular reference: each of the two queues refers to the other.
    const queueName = `${props.deploymentName}-feedback.fifo`;
    const queueArn = Stack.of(this).formatArn({ service: 'sqs', resource: queueName });
    this.deadLetters = new Queue(this, 'DeadLetters', {
      ...common,
      retentionPeriod: Duration.days(14),
      redriveAllowPolicy: {
        redrivePermission: RedrivePermission.BY_QUEUE,
        sourceQueues: [Queue.fromQueueArn(this, 'Source', queueArn)],
      },
    });
    Validations.of(this.deadLetters).acknowledge({
      id: 'Serverless-SQSRedrivePolicy',
      reason: 'This queue is the dead-letter queue of the feedback queue.',
    });
    this.queue = new Queue(this, 'Queue', {
      ...common,
      queueName,
      // High throughput mode: quota and deduplication apply per user instead of to the whole queue.
      deduplicationScope: DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      retentionPeriod: Duration.days(4),
      visibilityTimeout: this.visibilityTimeout,
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: MAX_RECEIVES },
    });
  }
}
