import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { METRIC_NAMESPACE, SERVICE } from './names.ts';

/** Structured logs and EMF metrics of a function. Neither ever holds a user id, an embedding or a message body. */
export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export function createTelemetry(): Telemetry {
  return {
    logger: new Logger({ serviceName: SERVICE }),
    metrics: new Metrics({ namespace: METRIC_NAMESPACE, serviceName: SERVICE }),
  };
}

export { MetricUnit };
