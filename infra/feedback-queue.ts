import { Duration, Stack, Validations } from 'aws-cdk-lib';
import {
  DeduplicationScope,
  FifoThroughputLimit,
  Queue,
  QueueEncryption,
  type QueueProps,
  RedrivePermission,
} from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

/** Attempts before a message moves to the dead-letter queue. */
const MAX_RECEIVES = 5;
/** Bytes; the publisher and the functions have the same limit. */
const MAX_MESSAGE_BYTES = 256 * 1024;

const FIFO = {
  fifo: true,
  encryption: QueueEncryption.SQS_MANAGED,
  enforceSSL: true,
  maxMessageSizeBytes: MAX_MESSAGE_BYTES,
} satisfies QueueProps;

/** The FIFO queue of feedback events, ordered per user, with its dead-letter queue. */
export class FeedbackQueue extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;

  /** @param consumerTimeout timeout of the function that reads the queue */
  constructor(scope: Construct, id: string, consumerTimeout: Duration) {
    super(scope, id);
    // A fixed name breaks the circular reference: each of the two queues refers to the other.
    const queueName = `${Stack.of(this).stackName}-feedback.fifo`;
    const queueArn = Stack.of(this).formatArn({ service: 'sqs', resource: queueName });
    this.deadLetters = new Queue(this, 'DeadLetters', {
      ...FIFO,
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
      ...FIFO,
      queueName,
      // High throughput mode: quota and deduplication apply per user instead of to the whole queue.
      deduplicationScope: DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      retentionPeriod: Duration.days(4),
      // Lambda recommends at least six times the function's timeout, so that a throttled batch
      // stays invisible.
      visibilityTimeout: Duration.seconds(6 * consumerTimeout.toSeconds()),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: MAX_RECEIVES },
    });
  }
}
