import { setTimeout as delay } from 'node:timers/promises';
import middy from '@middy/core';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import { learningObjects, readSharedLearning } from '../../shared/adapter-store/learning-objects.ts';
import { ObjectStore } from '../../shared/adapter-store/objects.ts';
import { PendingEpisodes } from '../../shared/adapter-store/pending-episodes.ts';
import { Quarantine } from '../../shared/adapter-store/quarantine.ts';
import { DynamoEpisodeStore } from '../../shared/reasoning-bank/dynamodb-episode-store.ts';
import { dynamoClient } from '../../shared/runtime/clients/dynamodb.ts';
import { s3Client } from '../../shared/runtime/clients/s3.ts';
import { METRIC } from '../../shared/runtime/names.ts';
import { settingsFromEnvironment } from '../../shared/runtime/settings.ts';
import { createTelemetry, MetricUnit } from '../../shared/runtime/telemetry.ts';
import { AdapterCache } from './adapter-cache.ts';
import { type BatchServices, processBatch } from './process-batch.ts';

const settings = settingsFromEnvironment(process.env);
const objects = new ObjectStore(s3Client(), settings.bucket);
const shared = learningObjects(objects, settings);
const { logger, metrics } = createTelemetry();
const services: Omit<BatchServices, 'signal'> = {
  settings,
  adapters: new AdapterStore(objects),
  cache: new AdapterCache(),
  episodes: new DynamoEpisodeStore(dynamoClient(), {
    table: settings.table,
    ttlDays: settings.episodeTtlDays,
  }),
  pending: new PendingEpisodes(objects),
  quarantine: new Quarantine(objects),
  learning: () => readSharedLearning(shared),
  now: Date.now,
  backOff: (attempt) => delay(Math.random() * 25 * 2 ** attempt).then(() => undefined),
  onConflict: () => metrics.addMetric(METRIC.conflicts, MetricUnit.Count, 1),
  onPending: (error) => {
    metrics.addMetric(METRIC.episodesPending, MetricUnit.Count, 1);
    logger.warn('the ReasoningBank did not take an episode; it is pending', { error });
  },
  onFailure: (error, messageIds) => logger.error('messages to be delivered again', { error, messageIds }),
};

export const handler = middy<SQSEvent, SQSBatchResponse>().handler(async (event, _context, { signal }) => {
  const messages = event.Records.map(({ messageId, body, attributes }) => ({
    messageId,
    body,
    groupId: attributes.MessageGroupId,
    sentAt: Number(attributes.SentTimestamp),
  }));
  const report = await processBatch(messages, { ...services, signal });
  const count = (name: string, value: number) => metrics.addMetric(name, MetricUnit.Count, value);
  count(METRIC.updates, report.updates);
  count(METRIC.eventsApplied, report.applied.length);
  count(
    METRIC.interactionsApplied,
    report.applied.reduce((sum, { interactions }) => sum + interactions, 0),
  );
  count(METRIC.eventsDuplicate, report.duplicates);
  count(METRIC.eventsQuarantined, report.quarantined.length);
  for (const { delayMs } of report.applied) {
    metrics.addMetric(METRIC.eventToEffect, MetricUnit.Milliseconds, delayMs);
  }
  for (const { messageId, code } of report.quarantined)
    logger.warn('message quarantined', { messageId, code });
  metrics.publishStoredMetrics();
  return { batchItemFailures: report.failed.map((itemIdentifier) => ({ itemIdentifier })) };
});
