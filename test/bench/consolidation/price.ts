import type { MeasuredRun } from './one-run.ts';

/**
 * Prices of us-east-1 without the free tier: dollars per request, unit, or second of the function.
 */
const LAMBDA_REQUEST = 0.2e-6;
const LAMBDA_GB_SECOND = 0.0000133334;
const S3_GET = 0.4e-6;
const S3_OTHER = 5e-6;
const READ_UNIT = 0.125e-6;
const WRITE_UNIT = 0.625e-6;

/** The same as in infra/consolidate-patterns.ts. */
const FUNCTION_MB = 1024;
/** Memory at which Lambda gives one whole vCPU. */
const VCPU_MB = 1769;

/** Seconds of a run in Lambda, if it had the processors of this machine. */
function billedSeconds({ seconds, cpuSeconds }: MeasuredRun): number {
  return Math.max(seconds, cpuSeconds / (FUNCTION_MB / VCPU_MB));
}

/** Dollars for one run. */
export function priceOf(run: MeasuredRun): number {
  const { s3, dynamodb } = run;
  return (
    LAMBDA_REQUEST +
    LAMBDA_GB_SECOND * (FUNCTION_MB / 1024) * billedSeconds(run) +
    S3_GET * s3.gets +
    S3_OTHER * s3.others +
    READ_UNIT * dynamodb.read +
    WRITE_UNIT * dynamodb.write
  );
}
