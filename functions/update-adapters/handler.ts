import middy from '@middy/core';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { createTelemetry } from '../../shared/config/telemetry.ts';
import { processBatch } from './process-batch.ts';
import { recordBatch } from './record-batch.ts';
import { createRedelivery, createServices } from './services.ts';

/** Time reserved for the answer. Messages that are unprocessed by then are delivered again. */
const RESERVE_MS = 1_000;
/** Part of that time for scheduling redeliveries. */
const REDELIVERY_MS = 500;

const telemetry = createTelemetry(process.env);
const services = createServices(process.env, telemetry);
const redelivery = createRedelivery(process.env);

export const handler = middy<SQSEvent, SQSBatchResponse>().handler(async ({ Records }, context) => {
  const messages = Records.map(({ messageId, body, attributes }) => ({
    messageId,
    body,
    groupId: attributes.MessageGroupId,
    sentAt: Number(attributes.SentTimestamp),
  }));
  const signal = AbortSignal.timeout(Math.max(0, context.getRemainingTimeInMillis() - RESERVE_MS));
  const report = await processBatch(messages, { ...services, signal });
  const failed = new Set(report.failed);
  const again = Records.filter(({ messageId }) => failed.has(messageId)).map(
    ({ receiptHandle, attributes }) => ({
      receiptHandle,
      groupId: attributes.MessageGroupId,
      receiveCount: Number(attributes.ApproximateReceiveCount),
    }),
  );
  await redelivery?.schedule(again, AbortSignal.timeout(REDELIVERY_MS)).catch((error: unknown) => {
    telemetry.logger.warn('redelivery not scheduled: failed messages wait for the visibility timeout', {
      error,
    });
  });
  recordBatch(report, telemetry);
  return { batchItemFailures: report.failed.map((itemIdentifier) => ({ itemIdentifier })) };
});
