import { REGION } from './environment.ts';
import type { LocalFunction } from './lambda/function.ts';
import type { InvocationResult } from './lambda/protocol.ts';
import type { Queue } from './sqs.ts';

/** Settings of an event source mapping from a queue to a function. */
export interface EventSourceSettings {
  /** Messages per invocation, 1..10 for a FIFO queue. */
  readonly batchSize: number;
  /** Maximum number of concurrent invocations. */
  readonly concurrency: number;
  /** `ReportBatchItemFailures`: the function reports the ids of failed messages. */
  readonly partialFailures: boolean;
}

type Received = ReturnType<Queue['dequeue']>[number];

/**
 * Polls a queue and invokes a function with each batch, as Lambda's event source mapping does. It
 * deletes successful messages. Failed messages stay in flight until the visibility timeout ends;
 * then the queue delivers them again or moves them to its dead-letter queue. While a message is in
 * flight, a FIFO queue delivers no other message of its group, so two concurrent invocations never
 * have the same group.
 */
export class EventSource {
  readonly #queue: Queue;
  readonly #target: LocalFunction;
  readonly #settings: EventSourceSettings;
  readonly #queueByArn: (arn: string) => Queue | undefined;
  /** Sees each call that Lambda makes with the function's role. */
  readonly #onCall: (action: string) => void;
  /** Receives faults of the queue itself, such as a full disk. The messages stay in flight. */
  readonly #reportFault: (error: unknown) => void;
  readonly #batches = new Set<Promise<void>>();
  #stopping = false;
  #polling: Promise<void> = Promise.resolve();

  constructor(
    queue: Queue,
    target: LocalFunction,
    settings: EventSourceSettings,
    queueByArn: (arn: string) => Queue | undefined,
    reportFault: (error: unknown) => void,
    onCall: (action: string) => void = () => {},
  ) {
    this.#queue = queue;
    this.#target = target;
    this.#settings = settings;
    this.#queueByArn = queueByArn;
    this.#reportFault = reportFault;
    this.#onCall = onCall;
  }

  start(): void {
    this.#polling = this.#poll();
  }

  /** The number of visible, delayed and in-flight messages. */
  get unfinished(): number {
    const { ready, delayed, inflight } = this.#queue.inspectMessages();
    return ready.length + delayed.length + inflight.length;
  }

  /** Stops polling. Resolves when the running batches are done. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#queue.cancelWaiters();
    await this.#polling;
    await Promise.all(this.#batches);
  }

  async #poll(): Promise<void> {
    while (!this.#stopping) {
      if (this.#batches.size >= this.#settings.concurrency) {
        await Promise.race(this.#batches);
        continue;
      }
      let messages: readonly Received[];
      try {
        messages = this.#queue.dequeue(this.#settings.batchSize, undefined, this.#queueByArn);
      } catch (error) {
        this.#reportFault(error);
        await this.#queue.waitForMessages(1);
        continue;
      }
      if (messages.length === 0) {
        await this.#queue.waitForMessages(20);
        continue;
      }
      this.#onCall('sqs:ReceiveMessage');
      const batch = this.#process(messages)
        .catch(this.#reportFault)
        .finally(() => this.#batches.delete(batch));
      this.#batches.add(batch);
    }
  }

  async #process(messages: readonly Received[]): Promise<void> {
    const records = messages.map((message) => recordOf(this.#queue, message));
    const result = await this.#target.invoke(JSON.stringify({ Records: records }));
    const failed = this.#failedIds(result, messages);
    if (failed.size < messages.length) this.#onCall('sqs:DeleteMessage');
    for (const message of messages) {
      if (!failed.has(message.MessageId)) this.#queue.deleteMessage(message.ReceiptHandle);
    }
  }

  #failedIds(result: InvocationResult, messages: readonly Received[]): ReadonlySet<string> {
    const all = new Set(messages.map((message) => message.MessageId));
    if (result.failed) return all;
    return this.#settings.partialFailures ? (reportedFailures(result.payload, all) ?? all) : new Set();
  }
}

/**
 * The ids in `batchItemFailures`; empty when the function reports none. Undefined when the report
 * is malformed or contains an id that is not in the batch: Lambda then treats the whole batch as
 * failed.
 */
function reportedFailures(payload: string, batch: ReadonlySet<string>): ReadonlySet<string> | undefined {
  const response: unknown = JSON.parse(payload);
  if (response === null || typeof response !== 'object') return response === null ? new Set() : undefined;
  const reported: unknown = 'batchItemFailures' in response ? response.batchItemFailures : undefined;
  if (reported === undefined || reported === null) return new Set();
  if (!Array.isArray(reported)) return undefined;
  const ids = new Set<string>();
  for (const entry of reported as { itemIdentifier?: unknown }[]) {
    const id = entry?.itemIdentifier;
    if (typeof id !== 'string' || !batch.has(id)) return undefined;
    ids.add(id);
  }
  return ids;
}

/** The record of a message in Lambda's SQS event. */
function recordOf(queue: Queue, received: Received): object {
  const message = queue.inflightMessages.get(received.ReceiptHandle)?.message;
  const attributes = {
    ApproximateReceiveCount: message?.approximateReceiveCount,
    SentTimestamp: message?.sentTimestamp,
    SequenceNumber: message?.sequenceNumber,
    MessageGroupId: message?.messageGroupId,
    SenderId: 'local',
    MessageDeduplicationId: message?.messageDeduplicationId,
    ApproximateFirstReceiveTimestamp: message?.approximateFirstReceiveTimestamp,
  };
  return {
    messageId: received.MessageId,
    receiptHandle: received.ReceiptHandle,
    body: received.Body,
    attributes: Object.fromEntries(
      Object.entries(attributes).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)]],
      ),
    ),
    messageAttributes: Object.fromEntries(
      Object.entries(received.MessageAttributes ?? {}).map(([name, attribute]) => [
        name,
        {
          stringValue: attribute.StringValue,
          binaryValue: attribute.BinaryValue,
          stringListValues: [],
          binaryListValues: [],
          dataType: attribute.DataType,
        },
      ]),
    ),
    md5OfBody: received.MD5OfBody,
    ...(received.MD5OfMessageAttributes === undefined
      ? {}
      : { md5OfMessageAttributes: received.MD5OfMessageAttributes }),
    eventSource: 'aws:sqs',
    eventSourceARN: queue.arn,
    awsRegion: REGION,
  };
}
