import middy from '@middy/core';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { createTelemetry } from '../../shared/config/telemetry.ts';
import { processBatch } from './process-batch.ts';
import { recordBatch } from './record-batch.ts';
import { createServices } from './services.ts';

/** Time kept back to answer in: what is unprocessed then is delivered again. */
const RESERVE_MS = 1_000;

const telemetry = createTelemetry();
const services = createServices(process.env, telemetry);

export const handler = middy<SQSEvent, SQSBatchResponse>().handler(async ({ Records }, context) => {
  const messages = Records.map(({ messageId, body, attributes }) => ({
    messageId,
    body,
    groupId: attributes.MessageGroupId,
    sentAt: Number(attributes.SentTimestamp),
  }));
  const signal = AbortSignal.timeout(Math.max(0, context.getRemainingTimeInMillis() - RESERVE_MS));
  const report = await processBatch(messages, { ...services, signal });
  recordBatch(report, telemetry);
  return { batchItemFailures: report.failed.map((itemIdentifier) => ({ itemIdentifier })) };
});
