import middy from '@middy/core';
import { METRIC } from '../../shared/config/names.ts';
import { createTelemetry, damageReporter, MetricUnit } from '../../shared/config/telemetry.ts';
import { asksCatalogue, parseCatalogueRequest } from '../../shared/contract/catalogue-request.ts';
import { parsePersonalizeRequest } from '../../shared/contract/personalize-request.ts';
import { CorruptObjectError, InvalidInputError } from '../../shared/errors.ts';
import { personalize } from '../../shared/serving/personalize.ts';
import { bodyOf, explain, failure, isHttp, ok } from './http.ts';
import { recommend, search, similar } from './recommend.ts';
import { createServices } from './services.ts';

const telemetry = createTelemetry(process.env);
const { logger, metrics } = telemetry;
const services = createServices(process.env, telemetry);
const reportDamage = damageReporter(telemetry);

async function answer(payload: unknown) {
  if (!asksCatalogue(payload))
    return personalize(parsePersonalizeRequest(payload, services.settings), services);
  const request = parseCatalogueRequest(payload, services.settings);
  switch (request.action) {
    case 'recommend':
      return recommend(request, services);
    case 'similar':
      return similar(request, services);
    case 'search':
      return search(request, services);
  }
}

/**
 * Answers the Function URL with HTTP responses, and Invoke with the answer itself. An invalid
 * request is answered with `{ error: { code, field, found, expected, message } }` instead of an
 * exception, which would count and be logged as an error of the function.
 */
export const handler = middy<unknown, unknown>().handler(async (payload) => {
  const http = isHttp(payload);
  try {
    return http ? ok(await answer(bodyOf(payload))) : await answer(payload);
  } catch (error) {
    if (error instanceof InvalidInputError) return http ? failure(error) : { error: explain(error) };
    // Lambda does not count a caught error, so it is counted here.
    metrics.addMetric(METRIC.requestsFailed, MetricUnit.Count, 1);
    if (error instanceof CorruptObjectError) reportDamage(error);
    if (!http) throw error;
    logger.error('personalize failed', { error });
    return failure(error);
  } finally {
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
  }
});
