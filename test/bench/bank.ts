/**
 * `npm run bench:bank -- [--sizes 1000,10000,100000] [--json]`: the costs of the ReasoningBank, and
 * that they do not grow.
 */
import { parseArgs } from 'node:util';
import { measureEpisodes } from './bank/episode-costs.ts';
import { measureInTheWay } from './bank/in-the-way.ts';
import { measureBanks } from './bank/on-table.ts';

const { sizes, json } = readOptions();
const say = (line: string) => void process.stdout.write(`${line}\n`);

const inTheWay = await measureInTheWay();
const { withoutBank, hung, failing, cacheHitMs } = inTheWay;
say(`update without a bank  ${ms(withoutBank.updateMs)}, of which for the bank ${ms(withoutBank.bankMs)}`);
say(`answer from the cache  ${ms(cacheHitMs)}`);
say(`update, bank hangs     ${ms(hung.firstMs)}, then ${ms(hung.nextMs)}`);
say(`update, bank fails     ${ms(failing.firstMs)}, then ${ms(failing.nextMs)}`);
say('');
const episodes = await measureEpisodes();
for (const { embeddingDim, interactions, embeddings, writeUnits } of episodes) {
  const update = `episode of ${interactions} interactions`;
  say(`${update.padEnd(31)} d ${embeddingDim}, ${embeddings} embeddings: ${writeUnits} write units`);
}
say('');
say('operation       episodes     p50 ms     p95 ms   read units  write units   found');

const rows = await measureBanks(sizes);
for (const operation of ['store', 'retrieve', 'learnStrategy'] as const) {
  for (const row of rows) {
    const { episodes, p50Ms, p95Ms, readUnits, writeUnits } = row[operation];
    const numbers = [p50Ms, p95Ms, readUnits, writeUnits].map((value) => value.toFixed(1).padStart(10));
    const found = operation === 'retrieve' ? `${row.retrieve.found} of ${row.retrieve.asked}` : '';
    say(`${operation.padEnd(14)} ${String(episodes).padStart(9)} ${numbers.join(' ')}   ${found}`);
  }
}

const retrieve = rows.map((row) => row.retrieve);
const learnStrategy = rows.map((row) => row.learnStrategy);
const over = (costs: readonly { readonly [name: string]: number }[], name: string) => {
  const [middle, largest] = costs.slice(-2);
  return largest === undefined ? null : (largest[name] ?? 0) / (middle?.[name] ?? 0);
};
const growth = {
  readUnits: over(
    retrieve.map(({ readUnits }) => ({ readUnits })),
    'readUnits',
  ),
  retrieveP50: over(
    retrieve.map(({ p50Ms }) => ({ p50Ms })),
    'p50Ms',
  ),
  strategyReadUnits: over(
    learnStrategy.map(({ readUnits }) => ({ readUnits })),
    'readUnits',
  ),
  strategyP50: over(
    learnStrategy.map(({ p50Ms }) => ({ p50Ms })),
    'p50Ms',
  ),
};
if (json) {
  const store = rows.map((row) => row.store);
  say(
    JSON.stringify({
      retrieve,
      learnStrategy,
      store,
      episodes,
      growth,
      cacheHitMs,
      withoutBank,
      hung,
      failing,
    }),
  );
} else say(`\nlargest over middle: ${JSON.stringify(growth)}`);

function readOptions(): { sizes: number[]; json: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        sizes: { type: 'string', default: '1000,10000,100000' },
        json: { type: 'boolean', default: false },
      },
    });
    const sizes = values.sizes.split(',').map(Number);
    if (sizes.some((size, i) => !Number.isInteger(size) || size <= (sizes[i - 1] ?? 0))) {
      throw new RangeError(
        `--sizes: found ${values.sizes}, expected rising numbers such as 1000,10000,100000`,
      );
    }
    return { sizes, json: values.json };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

function ms(value: number): string {
  return `${value.toFixed(value < 1 ? 4 : 1)} ms`;
}
