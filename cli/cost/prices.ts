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

const UNITS = {
  sqsRequest: 'request of up to 64 KB, FIFO',
  lambdaRequest: 'invocation',
  lambdaGbSecond: 'GB-second on ARM',
  s3Read: 'GET',
  s3Write: 'PUT or LIST',
  s3GbMonth: 'GB-month of S3',
  writeUnit: 'write request unit',
  readUnit: 'read request unit',
  tableGbMonth: 'GB-month of DynamoDB',
  logGb: 'GB of logs taken in',
  metricMonth: 'metric and month',
  alarmMonth: 'metric of an alarm and month',
  dashboardMonth: 'dashboard and month',
  trace: 'trace',
} as const;
type Item = keyof typeof UNITS;

export type PriceTable = Readonly<Record<Item, Price>> & { readonly regions: readonly string[] };

/** Prices of some items with one source. */
const from = (
  source: string,
  asOf: string,
  dollars: Partial<Record<Item, number>>,
): Partial<Record<Item, Price>> =>
  Object.fromEntries(
    Object.entries(dollars).map(([item, each]) => [item, price(each, UNITS[item as Item], source, asOf)]),
  );

/** The price list that AWS publishes for programs. */
const list = (service: string, region: string) =>
  `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/${service}/current/${region}/index.json`;

const table = (...parts: Partial<Record<Item, Price>>[]): Readonly<Record<Item, Price>> =>
  Object.assign({}, ...parts);

const UNCONFIRMED = 'as in us-east-1, not confirmed';
/** The products of dashboards have no region. */
const DASHBOARDS = from(list('AmazonCloudWatch', 'us-east-1'), 'September 2026', { dashboardMonth: 3 });
const XRAY = 'https://aws.amazon.com/xray/pricing/';
const SQS = 'https://aws.amazon.com/sqs/pricing/';

/** Prices by group of regions that share them. */
export const PRICES = {
  us: {
    regions: ['us-east-1', 'us-east-2', 'us-west-2'],
    ...table(
      from('https://cloudburn.io/blog/amazon-sqs-pricing', 'March 2026', { sqsRequest: 0.5e-6 }),
      from(list('AWSLambda', 'us-east-1'), '2025-10-28', { lambdaRequest: 0.2e-6 }),
      from('https://cloudchipr.com/blog/aws-lambda-pricing', '2024', { lambdaGbSecond: 0.0000133334 }),
      from(list('AmazonS3', 'us-east-1'), '2025-10-28', { s3Read: 0.4e-6, s3Write: 5e-6, s3GbMonth: 0.023 }),
      from('https://airbyte.com/data-engineering-resources/dynamodb-pricing', 'July 2025', {
        writeUnit: 0.625e-6,
        readUnit: 0.125e-6,
      }),
      from('https://aws.amazon.com/dynamodb/pricing/', '2025, not confirmed since', { tableGbMonth: 0.25 }),
      from(
        'https://www.factualminds.com/blog/amazon-cloudwatch-pricing-metrics-logs-alarms-dashboards/',
        'June 2026',
        { logGb: 0.5, metricMonth: 0.3, alarmMonth: 0.1 },
      ),
      DASHBOARDS,
      from(XRAY, 'November 2026', { trace: 5e-6 }),
    ),
  },
  ireland: {
    regions: ['eu-west-1'],
    ...table(
      from(SQS, UNCONFIRMED, { sqsRequest: 0.5e-6 }),
      from(list('AWSLambda', 'eu-west-1'), '2026-10-01', { lambdaRequest: 0.2e-6 }),
      from('https://aws.amazon.com/lambda/pricing/', UNCONFIRMED, { lambdaGbSecond: 0.0000133334 }),
      from(list('AmazonS3', 'eu-west-1'), '2026-09-28', { s3Read: 0.4e-6, s3Write: 5e-6, s3GbMonth: 0.023 }),
      from(list('AmazonDynamoDB', 'eu-west-1'), '2026-09-11', {
        writeUnit: 0.705e-6,
        readUnit: 0.1415e-6,
        tableGbMonth: 0.283,
      }),
      from(list('AmazonCloudWatch', 'eu-west-1'), '2026-09-22', {
        logGb: 0.57,
        metricMonth: 0.3,
        alarmMonth: 0.1,
      }),
      DASHBOARDS,
      from(XRAY, UNCONFIRMED, { trace: 5e-6 }),
    ),
  },
  frankfurt: {
    regions: ['eu-central-1'],
    ...table(
      from(SQS, UNCONFIRMED, { sqsRequest: 0.5e-6 }),
      from(list('AWSLambda', 'eu-central-1'), '2026-09-11', {
        lambdaRequest: 0.2e-6,
        lambdaGbSecond: 0.0000133334,
      }),
      from(list('AmazonS3', 'eu-central-1'), '2026-08-31', {
        s3Read: 0.43e-6,
        s3Write: 5.4e-6,
        s3GbMonth: 0.0245,
      }),
      from(list('AmazonDynamoDB', 'eu-central-1'), '2026-09-11', {
        writeUnit: 0.7625e-6,
        readUnit: 0.1525e-6,
        tableGbMonth: 0.306,
      }),
      from(list('AmazonCloudWatch', 'eu-central-1'), '2026-09-11', { logGb: 0.63, alarmMonth: 0.1 }),
      from('https://aws.amazon.com/cloudwatch/pricing/', UNCONFIRMED, { metricMonth: 0.3 }),
      DASHBOARDS,
      from(XRAY, UNCONFIRMED, { trace: 5e-6 }),
    ),
  },
  tokyo: {
    regions: ['ap-northeast-1'],
    ...table(
      from(SQS, UNCONFIRMED, { sqsRequest: 0.5e-6 }),
      from(list('AWSLambda', 'ap-northeast-1'), 'September 2026', { lambdaRequest: 0.2e-6 }),
      from('https://aws.amazon.com/lambda/pricing/', UNCONFIRMED, { lambdaGbSecond: 0.0000133334 }),
      from(list('AmazonS3', 'ap-northeast-1'), '2026-09-18', {
        s3Read: 0.37e-6,
        s3Write: 4.7e-6,
        s3GbMonth: 0.025,
      }),
      from(list('AmazonDynamoDB', 'ap-northeast-1'), 'September 2026', {
        writeUnit: 0.715e-6,
        readUnit: 0.1425e-6,
      }),
      from(list('AmazonDynamoDB', 'ap-northeast-1'), '2026, day unknown', { tableGbMonth: 0.285 }),
      from(list('AmazonCloudWatch', 'ap-northeast-1'), 'September 2026', {
        logGb: 0.76,
        metricMonth: 0.3,
        alarmMonth: 0.1,
      }),
      DASHBOARDS,
      from(XRAY, UNCONFIRMED, { trace: 5e-6 }),
    ),
  },
} satisfies Record<string, PriceTable>;

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
  return Object.values<PriceTable>(PRICES).find(({ regions }) => regions.includes(region));
}
