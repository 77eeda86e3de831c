import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { CorruptObjectError } from '../errors.ts';
import { DAMAGED, DIMENSION, METRIC, METRIC_NAMESPACE, SERVICE, VARIABLE } from './names.ts';

/**
 * Structured logs and EMF metrics of a function. Neither ever holds a user id, an embedding or a
 * message body.
 */
export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** @param env names the deployment of the metrics; without it, metrics have no dimension `stack` */
export function createTelemetry(env: Record<string, string | undefined>): Telemetry {
  const deployment = env[VARIABLE.deployment];
  const defaultDimensions = deployment === undefined ? {} : { [DIMENSION.deployment]: deployment };
  return {
    logger: new Logger({ serviceName: SERVICE }),
    metrics: new Metrics({ namespace: METRIC_NAMESPACE, serviceName: SERVICE, defaultDimensions }),
  };
}

/** Counts corrupt objects for the alarm, and names them in the log. */
export function damageReporter({ logger, metrics }: Telemetry): (error: CorruptObjectError) => void {
  return (error) => {
    metrics.addMetric(METRIC.corruptObjects, MetricUnit.Count, 1);
    logger.error(DAMAGED, { key: error.key, error });
  };
}

export { MetricUnit };
