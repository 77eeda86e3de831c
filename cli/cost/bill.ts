import { ALTERNATIVES, type Price, type PriceTable } from './prices.ts';
import { type Load, MONTH, messageBytes, type Usage } from './usage.ts';

export interface BillLine {
  readonly item: string;
  /** Quantity per month. */
  readonly quantity: number;
  readonly per: string;
  readonly dollars: number;
}

/** What AWS bills for a month of this usage, without free tiers. */
export function billOf(usage: Usage, prices: PriceTable): BillLine[] {
  const line = (item: string, quantity: number, { dollars, per }: Price): BillLine => ({
    item,
    quantity,
    per,
    dollars: quantity * dollars,
  });
  return [
    line('SQS', usage.sqsRequests, prices.sqsRequest),
    line('Lambda', usage.invocations, prices.lambdaRequest),
    line('Lambda', usage.gbSeconds, prices.lambdaGbSecond),
    line('S3', usage.s3Reads, prices.s3Read),
    line('S3', usage.s3Writes, prices.s3Write),
    line('S3', usage.s3GbMonths, prices.s3GbMonth),
    line('DynamoDB', usage.writeUnits, prices.writeUnit),
    line('DynamoDB', usage.readUnits, prices.readUnit),
    line('DynamoDB', usage.tableGbMonths, prices.tableGbMonth),
    line('CloudWatch', usage.logGb, prices.logGb),
    line('CloudWatch', usage.metrics, prices.metricMonth),
    line('CloudWatch', usage.alarmMetrics, prices.alarmMonth),
    line('CloudWatch', usage.dashboards, prices.dashboardMonth),
    line('X-Ray', usage.traces, prices.trace),
  ];
}

export function totalOf(lines: readonly BillLine[]): number {
  return lines.reduce((sum, { dollars }) => sum + dollars, 0);
}

/** One training a week of two training hours. */
const TRAINING_HOURS = 8;
const GB = 1024 ** 3;

/** The lowest price of other services for the same load. */
export function alternativesOf(load: Load): { readonly name: string; readonly dollars: number }[] {
  const { personalizeTpsHour, personalizeGb, personalizeTrainingHour } = ALTERNATIVES;
  const { openSearchOcuHour, openSearchGbMonth } = ALTERNATIVES;
  const tpsHours = Math.max(MONTH.hours, load.requests / 3600);
  const taken = (load.interactions * 200) / GB;
  const stored = (load.users * load.embeddingDim * 4) / GB;
  return [
    {
      name: 'Amazon Personalize, one campaign at 1 TPS, trained once a week',
      dollars:
        tpsHours * personalizeTpsHour.dollars +
        taken * personalizeGb.dollars +
        TRAINING_HOURS * personalizeTrainingHour.dollars,
    },
    {
      name: 'OpenSearch Serverless, one vector collection with redundancy (2 OCUs)',
      dollars: 2 * MONTH.hours * openSearchOcuHour.dollars + stored * openSearchGbMonth.dollars,
    },
  ];
}

/** The size of a message, for texts that people read. */
export function shownKb(load: Load): string {
  return `${(messageBytes(load) / 1024).toFixed(1)} KB`;
}
