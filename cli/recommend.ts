import { type Command, InvalidArgumentError } from 'commander';
import { OUTPUT } from '../shared/config/names.ts';
import type { RecommendAnswer, RecommendedItem, SimilarAnswer } from '../shared/contract/answers.ts';
import { RECOMMEND_LIMITS } from '../shared/contract/catalogue-request.ts';
import { InvalidInputError } from '../shared/errors.ts';
import { invoke } from './invoke.ts';
import { printJson, printLine } from './output.ts';
import { scoreSum } from './score-sum.ts';
import { resourceName } from './stack-outputs.ts';

interface RecommendOptions {
  readonly user?: string;
  readonly similarTo?: string;
  readonly functionName?: string;
  readonly outputs?: string;
  readonly limit: number;
  readonly filter?: unknown;
  readonly exclude?: readonly string[];
  readonly again?: boolean;
  readonly metWithin?: number;
  readonly metBy?: readonly string[];
  readonly diversity?: number;
  readonly maxPerValue?: { attribute: string; count: number };
  readonly explore?: boolean;
  readonly requestId?: string;
  readonly explain?: boolean;
  readonly json?: boolean;
}

/** `attune recommend`: asks the personalize function for the best items of the catalogue. */
export function recommendCommand(command: Command): Command {
  return command
    .option('--user <id>', 'the user')
    .option('--similar-to <itemId>', 'items similar to this one; with --user, ordered by the user’s taste')
    .option('--function-name <name>', 'the personalize function')
    .option('--outputs <file>', 'take the function from the file of cdk deploy --outputs-file')
    .option('--limit <n>', 'number of items', wholeNumber(RECOMMEND_LIMITS.items), 20)
    .option('--filter <json>', 'filter of items, such as {"attribute":"genre","in":["comedy"]}', json)
    .option('--exclude <itemId...>', 'exclude these items')
    .option('--again', 'include items that the user has interacted with')
    .option(
      '--met-within <days>',
      'exclude only items that the user interacted with in the last n days',
      days,
    )
    .option(
      '--met-by <kind...>',
      'exclude only items with an interaction of this kind: reward, watch or target',
    )
    .option('--diversity <0..1>', '0: by score alone; 1: as different from each other as possible', Number)
    .option('--max-per-value <attribute=n>', 'at most n items with the same value of an attribute', cap)
    .option(
      '--explore',
      'draw the user’s taste from its posterior, to try items that may be better than expected',
    )
    .option('--request-id <id>', 'names the answer in feedback; the same id repeats a draw')
    .option('--explain', 'show the parts of every score, and the past items with the largest pull')
    .option('--json', 'print the answer as one line of JSON')
    .action(recommend);
}

async function recommend(options: RecommendOptions): Promise<void> {
  const { user, similarTo, limit, filter, exclude, diversity, maxPerValue, explain = false } = options;
  const { explore } = options;
  if (explore && similarTo !== undefined)
    throw new InvalidInputError('', '--explore with --similar-to', 'one of them');
  if (user === undefined && similarTo === undefined)
    throw new InvalidInputError('', 'neither --user nor --similar-to', 'at least one of them');
  const functionName = await resourceName(
    options.functionName,
    options.outputs,
    OUTPUT.personalizeFunctionName,
    '--function-name',
  );
  const answer = await invoke<RecommendAnswer | SimilarAnswer>(functionName, {
    action: similarTo === undefined ? 'recommend' : 'similar',
    userId: user,
    itemId: similarTo,
    limit,
    filter,
    exclude,
    excludeInteracted: options.again !== true,
    interactedWithinDays: options.metWithin,
    interactedBy: options.metBy,
    diversity,
    maxPerValue,
    explain,
    ...(similarTo === undefined ? { explore, requestId: options.requestId } : {}),
  });
  if (options.json) return printJson(answer);
  const { catalogueVersion, matching } = answer;
  const id = 'recommendationId' in answer ? `recommendation ${answer.recommendationId}, ` : '';
  const by = 'source' in answer ? `${answer.source}, adapter version ${answer.adapterVersion}, ` : '';
  printLine(`${by}${id}catalogue version ${catalogueVersion}, ${matching} items match`);
  for (const item of answer.items) printLine(described(item));
}

function described({ itemId, score, parts, propensity, because }: RecommendedItem): string {
  const chance = propensity === undefined ? '' : `  shown with probability ${propensity.toFixed(3)}`;
  const pulled = because?.items.map(({ itemId: past, pull }) => `${past} ${signed(pull)}`).join(', ');
  const why = pulled === undefined || pulled === '' ? '' : `  because of ${pulled}`;
  return `${score.toFixed(4)}  ${itemId}${chance}${parts === undefined ? '' : scoreSum(parts)}${why}`;
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(4)}`;
}

function days(text: string): number {
  if (Number(text) > 0 && Number.isFinite(Number(text))) return Number(text);
  throw new InvalidArgumentError('expected a number of days above 0.');
}

function wholeNumber(maximum: number) {
  return (text: string): number => {
    if (/^[1-9]\d*$/.test(text) && Number(text) <= maximum) return Number(text);
    throw new InvalidArgumentError(`expected a whole number from 1 to ${maximum}.`);
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('expected JSON.');
  }
}

function cap(text: string) {
  const match = /^(.+)=([1-9]\d*)$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError('expected an attribute and a whole number, such as genre=2.');
  return { attribute: match[1]!, count: Number(match[2]) };
}
