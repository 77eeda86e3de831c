import middy from '@middy/core';
import { createTelemetry } from '../../shared/config/telemetry.ts';
import { storeCatalogueFeatures } from './catalogue-features.ts';
import { type ConsolidationReport, consolidate } from './consolidate.ts';
import { recordReport } from './record-report.ts';
import { parseConsolidationRequest } from './request.ts';
import { createServices } from './services.ts';

/** Stop storing features when less time is left: one more shard may take this long. */
const RESERVE_MS = 20_000;

const telemetry = createTelemetry(process.env);
const services = createServices(process.env, telemetry);

export const handler = middy<unknown, ConsolidationReport>().handler(async (payload, context) => {
  const report = await consolidate(services, parseConsolidationRequest(payload));
  recordReport(report, telemetry);
  if (report.status === 'consolidated') {
    await storeCatalogueFeatures(services, () => context.getRemainingTimeInMillis() > RESERVE_MS);
  }
  return report;
});
