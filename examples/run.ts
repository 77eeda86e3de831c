import { basic } from './basic.ts';
import { cache } from './cache.ts';
import { consolidation } from './consolidation.ts';
import { hotSwap } from './hot-swap.ts';
import { transfer } from './transfer.ts';
import { withBank } from './with-bank.ts';

const EXAMPLES: Readonly<Record<string, (print: (line: string) => void) => Promise<unknown>>> = {
  basic,
  'with-bank': withBank,
  transfer,
  consolidation,
  'hot-swap': hotSwap,
  cache,
};

const [name = ''] = process.argv.slice(2);
const example = Object.hasOwn(EXAMPLES, name) ? EXAMPLES[name] : undefined;
if (example === undefined) {
  process.stderr.write(
    `example: found ${name || 'no name'}, expected one of ${Object.keys(EXAMPLES).join(', ')}\n`,
  );
  process.exitCode = 2;
} else {
  await example((line) => process.stdout.write(`${line}\n`));
}
