import middy from '@middy/core';
import { METRIC } from '../../shared/runtime/names.ts';
import { createTelemetry, MetricUnit } from '../../shared/runtime/telemetry.ts';
import { type ConsolidationReport, consolidate } from './consolidate.ts';
import { parseConsolidationRequest } from './request.ts';
import { createServices } from './services.ts';

const telemetry = createTelemetry();
const services = createServices(process.env, telemetry);

export const handler = middy<unknown, ConsolidationReport>().handler(async (payload) => {
  const { logger, metrics } = telemetry;
  const report = await consolidate(services, parseConsolidationRequest(payload));
  logger.info('consolidation', { report });
  metrics.addMetric(METRIC.consolidations, MetricUnit.Count, 1);
  metrics.addMetric(METRIC.skillsCreated, MetricUnit.Count, report.skillsCreated);
  const { loss, reward } = report.uplift;
  if (loss.mean !== null) metrics.addMetric(METRIC.lossChange, MetricUnit.NoUnit, loss.mean);
  if (reward.mean !== null) metrics.addMetric(METRIC.rewardDifference, MetricUnit.NoUnit, reward.mean);
  metrics.publishStoredMetrics();
  return report;
});
