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

/** How often a message is tried before it goes to the dead-letter queue. */
const MAX_RECEIVES = 5;
/** The longest message that the publisher makes and the functions take, in bytes. */
const MAX_MESSAGE_BYTES = 256 * 1024;

const FIFO = {
  fifo: true,
  encryption: QueueEncryption.SQS_MANAGED,
  enforceSSL: true,
  maxMessageSizeBytes: MAX_MESSAGE_BYTES,
} satisfies QueueProps;

/** Feedback events on their way to the adapters: in order within a user, in parallel across users. */
export class FeedbackQueue extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;

  /** @param consumerTimeout timeout of the function that reads the queue */
  constructor(scope: Construct, id: string, consumerTimeout: Duration) {
    super(scope, id);
    // Named, so that the dead-letter queue can name it as its only source although it refers back to it.
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
      reason: 'It is itself the dead-letter queue of the feedback queue.',
    });
    this.queue = new Queue(this, 'Queue', {
      ...FIFO,
      queueName,
      // High throughput: quota and deduplication count per user, not for the whole queue.
      deduplicationScope: DeduplicationScope.MESSAGE_GROUP,
      fifoThroughputLimit: FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
      retentionPeriod: Duration.days(4),
      // Lambda asks for at least six times the function's timeout, so that a throttled batch is not seen twice.
      visibilityTimeout: Duration.seconds(6 * consumerTimeout.toSeconds()),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: MAX_RECEIVES },
    });
  }
}
