/** A price in US dollars, without free tiers, with its source. */
export interface Price {
  readonly dollars: number;
  readonly per: string;
  readonly source: string;
  /** The date in the source, or the date of reading it. */
  readonly asOf: string;
}

const price = (dollars: number, per: string, source: string, asOf: string): Price => ({
  dollars,
  per,
  source,
  asOf,
});

const SQS = 'https://cloudburn.io/blog/amazon-sqs-pricing';
const LAMBDA = 'https://cloudchipr.com/blog/aws-lambda-pricing';
const S3 = 'https://aws.amazon.com/s3/pricing/';
const DYNAMODB = 'https://airbyte.com/data-engineering-resources/dynamodb-pricing';
const CLOUDWATCH =
  'https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/';
const XRAY = 'https://aws.amazon.com/xray/pricing/';

/** Prices by group of regions that share them. Other regions cost up to a quarter more. */
export const PRICES = {
  us: {
    regions: ['us-east-1', 'us-east-2', 'us-west-2'],
    sqsRequest: price(0.5e-6, 'request of up to 64 KB, FIFO', SQS, 'March 2026'),
    lambdaRequest: price(0.2e-6, 'invocation', LAMBDA, '2024'),
    lambdaGbSecond: price(0.0000133334, 'GB-second on ARM', LAMBDA, '2024'),
    s3Read: price(0.4e-6, 'GET', S3, '2025, not confirmed since'),
    s3Write: price(5e-6, 'PUT or LIST', S3, '2025, not confirmed since'),
    s3GbMonth: price(0.023, 'GB-month of S3', S3, '2025, not confirmed since'),
    writeUnit: price(0.625e-6, 'write request unit', DYNAMODB, 'July 2025'),
    readUnit: price(0.125e-6, 'read request unit', DYNAMODB, 'July 2025'),
    tableGbMonth: price(
      0.25,
      'GB-month of DynamoDB',
      'https://aws.amazon.com/dynamodb/pricing/',
      '2025, not confirmed since',
    ),
    logGb: price(0.5, 'GB of logs taken in', CLOUDWATCH, 'June 2026'),
    metricMonth: price(0.3, 'metric and month', CLOUDWATCH, 'June 2026'),
    alarmMonth: price(0.1, 'metric of an alarm and month', CLOUDWATCH, 'June 2026'),
    dashboardMonth: price(3, 'dashboard and month', CLOUDWATCH, 'June 2026'),
    trace: price(5e-6, 'trace', XRAY, 'November 2026'),
  },
} as const satisfies Record<string, { readonly regions: readonly string[] } & Record<string, unknown>>;

export type PriceTable = (typeof PRICES)[keyof typeof PRICES];

/** Alternatives to Attune, with prices of us-east-1. */
export const ALTERNATIVES = {
  personalizeTpsHour: price(
    0.2,
    'TPS-hour, at least one TPS for every campaign all the time',
    'https://aws.amazon.com/personalize/pricing/',
    '2023, not confirmed since',
  ),
  personalizeGb: price(
    0.05,
    'GB taken in',
    'https://aws.amazon.com/personalize/pricing/',
    '2023, not confirmed since',
  ),
  personalizeTrainingHour: price(
    0.24,
    'training hour',
    'https://aws.amazon.com/personalize/pricing/',
    '2023, not confirmed since',
  ),
  openSearchOcuHour: price(
    0.24,
    'OCU-hour, at least 1 for indexing and 1 for search with redundancy',
    'https://awsnegotiations.com/opensearch-serverless-cost',
    'February 2026',
  ),
  openSearchGbMonth: price(
    0.024,
    'GB-month of OpenSearch',
    'https://c3x.dev/resources/aws/aws_opensearchserverless_collection/',
    '2026',
  ),
} as const;

/** @returns undefined for a region whose prices are not in the table */
export function pricesOf(region: string): PriceTable | undefined {
  return Object.values(PRICES).find(({ regions }) => (regions as readonly string[]).includes(region));
}
