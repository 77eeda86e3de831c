import { type Command, InvalidArgumentError } from 'commander';
import { InvalidInputError } from '../shared/errors.ts';
import { alternativesOf, type BillLine, billOf, shownKb, totalOf } from './cost/bill.ts';
import { PRICES, pricesOf } from './cost/prices.ts';
import { type Load, MONTH, usageOf } from './cost/usage.ts';
import { printJson, printLine } from './output.ts';

interface CostOptions {
  readonly eventsPerDay: number;
  readonly users: number;
  readonly dimension: number;
  readonly rank: number;
  readonly coalesced: number;
  readonly requestsPerDay?: number;
  readonly updateMs: number;
  readonly personalizeMs: number;
  readonly region: string;
  readonly json?: boolean;
}

interface Estimate {
  readonly region: string;
  readonly messages: number;
  readonly lines: readonly BillLine[];
  readonly total: number;
  readonly idle: number;
  readonly alternatives: ReturnType<typeof alternativesOf>;
}

/** `attune cost`: estimates the cost of a load. */
export function costCommand(command: Command): Command {
  return command
    .requiredOption('--events-per-day <n>', 'interactions that the application publishes', count)
    .requiredOption('--users <n>', 'users who have an adapter', count)
    .option('--dimension <d>', 'length of the embeddings', count, 64)
    .option('--rank <r>', 'rank of the adapters', count, 4)
    .option('--coalesced <n>', 'interactions in one message, 1 to 100', count, 5)
    .option('--requests-per-day <n>', 'requests to personalize; default: one for each user', count)
    .option('--update-ms <ms>', 'billed time of an update', count, 60)
    .option('--personalize-ms <ms>', 'billed time of a request', count, 30)
    .option('--region <name>', 'region, among those with known prices', 'us-east-1')
    .option('--json', 'print the estimate as one line of JSON')
    .action(cost);
}

function cost(options: CostOptions): void {
  const { coalesced, region } = options;
  if (coalesced < 1 || coalesced > 100)
    throw new InvalidInputError('--coalesced', String(coalesced), '1 to 100');
  const prices = pricesOf(region);
  if (prices === undefined) {
    const known = Object.values(PRICES).flatMap(({ regions }) => regions);
    throw new InvalidInputError('--region', region, `one of ${known.join(', ')}, whose prices are known`);
  }
  const load: Load = {
    interactions: options.eventsPerDay * MONTH.days,
    coalesced,
    users: options.users,
    requests: (options.requestsPerDay ?? options.users) * MONTH.days,
    embeddingDim: options.dimension,
    rank: options.rank,
    updateMs: options.updateMs,
    personalizeMs: options.personalizeMs,
  };
  const lines = billOf(usageOf(load), prices);
  const idle = billOf(usageOf({ ...load, interactions: 0, requests: 0 }), prices);
  const result: Estimate = {
    region,
    messages: usageOf(load).messages,
    lines,
    total: totalOf(lines),
    idle: totalOf(idle),
    alternatives: alternativesOf(load),
  };
  if (options.json) printJson(result);
  else show(load, result);
}

function show(load: Load, { region, messages, lines, total: sum, idle, alternatives }: Estimate): void {
  printLine(
    `${shown(load.interactions)} interactions of ${shown(load.users)} users in ${shown(messages)} messages of ` +
      `${shownKb(load)}, ${shown(load.requests)} requests; ${region}, a month of ${MONTH.days} days, without free tiers`,
  );
  printLine('');
  for (const line of lines) printLine(row(line));
  printLine(total('in all', sum));
  printLine(total('the same stack without traffic', idle));
  printLine('');
  for (const { name, dollars } of alternatives) printLine(total(name, dollars));
}

function row({ item, quantity, per, dollars }: BillLine): string {
  return `${item.padEnd(11)} ${shown(quantity).padStart(13)}  ${per.padEnd(46)}${dollars.toFixed(2).padStart(9)} $`;
}

function total(name: string, dollars: number): string {
  return `${name.padEnd(72)}${dollars.toFixed(2).padStart(9)} $`;
}

function shown(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
}

function count(text: string): number {
  if (/^\d{1,12}(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number from 0.');
}
