import middy from '@middy/core';
import { createTelemetry } from '../../shared/config/telemetry.ts';
import { type ConsolidationReport, consolidate } from './consolidate.ts';
import { recordReport } from './record-report.ts';
import { parseConsolidationRequest } from './request.ts';
import { createServices } from './services.ts';

const telemetry = createTelemetry();
const services = createServices(process.env, telemetry);

export const handler = middy<unknown, ConsolidationReport>().handler(async (payload) => {
  const report = await consolidate(services, parseConsolidationRequest(payload));
  recordReport(report, telemetry);
  return report;
});
