import { type Command, Option } from 'commander';
import { OUTPUT } from '../shared/config/names.ts';
import type { PersonalizeAnswer } from '../shared/contract/answers.ts';
import { PERSONALIZE_LIMITS } from '../shared/contract/personalize-request.ts';
import { InvalidInputError } from '../shared/errors.ts';
import { interruption } from './exit.ts';
import { invoke } from './invoke.ts';
import { readJsonLines } from './json-lines.ts';
import { printJson, printLine } from './output.ts';
import { scoreSum } from './score-sum.ts';
import { resourceName } from './stack-outputs.ts';

interface PersonalizeOptions {
  user: string;
  functionName?: string;
  outputs?: string;
  answer: 'scores' | 'embeddings';
  explain?: boolean;
  json?: boolean;
}

/**
 * `attune personalize`: asks the personalize function for a user's scores or embeddings of
 * candidates.
 */
export function personalizeCommand(command: Command): Command {
  return command
    .argument('<file>', 'lines of {"embedding", "itemId"?}; - is stdin')
    .requiredOption('--user <id>', 'the user')
    .option('--function-name <name>', 'the personalize function')
    .option('--outputs <file>', 'take the function from the file of cdk deploy --outputs-file')
    .addOption(
      new Option('--answer <kind>', 'kind of answer').choices(['scores', 'embeddings']).default('scores'),
    )
    .option('--explain', 'show the base, item and user parts of every score')
    .option('--json', 'print the answer as one line of JSON')
    .action(personalize);
}

async function personalize(file: string, options: PersonalizeOptions): Promise<void> {
  const functionName = await resourceName(
    options.functionName,
    options.outputs,
    OUTPUT.personalizeFunctionName,
    '--function-name',
  );
  const { user: userId, answer: kind, explain = false } = options;
  const answers: PersonalizeAnswer[] = [];
  const lines: number[] = [];
  for await (const part of requestsOf(file, kind)) {
    const candidates = part.map(({ candidate }) => candidate);
    const request = { userId, candidates, answer: kind, explain };
    const answer = await invoke<PersonalizeAnswer>(functionName, request).catch((error: unknown) => {
      throw inFile(error, file, part);
    });
    const offset = lines.length;
    answers.push({ ...answer, items: answer.items.map((item) => ({ ...item, index: item.index + offset })) });
    lines.push(...part.map(({ line }) => line));
  }
  const answer = merged(answers, file);
  if (options.json || options.answer === 'embeddings') return printJson(answer);
  printLine(
    `${answer.source}, adapter version ${answer.adapterVersion}, skills version ${answer.skillsVersion}`,
  );
  for (const item of answer.items) {
    if (!('score' in item)) continue;
    const parts = item.parts === undefined ? '' : scoreSum(item.parts);
    printLine(`${item.score.toFixed(4)}  ${item.itemId ?? `line ${lines[item.index]}`}${parts}`);
  }
}

/**
 * Limits of one request. The answer returns the embeddings, and it has room for 200 of 4,096
 * numbers.
 */
const REQUEST_LIMITS = {
  scores: PERSONALIZE_LIMITS.candidates,
  embeddings: 200,
  bytes: 3 * 1024 * 1024,
} as const;

interface Line {
  readonly line: number;
  readonly candidate: object;
}

/** Names the line of the file in an error about a candidate. */
function inFile(error: unknown, file: string, part: readonly Line[]): unknown {
  if (!(error instanceof InvalidInputError)) return error;
  const [, index, field = ''] = /^candidates\[(\d+)\]\.?(.*)$/.exec(error.field) ?? [];
  const at = part[Number(index)];
  if (at === undefined) return error;
  return new InvalidInputError(
    `${file} line ${at.line}${field && `, ${field}`}`,
    error.found,
    error.expected,
    {
      cause: error,
    },
  );
}

/** The candidates of a file, cut into requests that the function accepts. */
async function* requestsOf(file: string, kind: PersonalizeOptions['answer']): AsyncGenerator<Line[]> {
  let candidates: Line[] = [];
  let bytes = 0;
  const signal = interruption();
  for await (const { line, value, fault } of readJsonLines(file, signal)) {
    if (fault !== undefined) throw new InvalidInputError(`${file} line ${line}`, fault.found, fault.expected);
    const size = Buffer.byteLength(JSON.stringify(value));
    if (candidates.length === REQUEST_LIMITS[kind] || bytes + size > REQUEST_LIMITS.bytes) {
      yield candidates;
      candidates = [];
      bytes = 0;
    }
    candidates.push({ line, candidate: value });
    bytes += size;
  }
  // After Ctrl-C only part of the file was read.
  signal.throwIfAborted();
  if (candidates.length > 0) yield candidates;
}

/**
 * Joins the answers to parts of the candidates. This is safe because a score does not depend on
 * other candidates.
 */
function merged(answers: readonly PersonalizeAnswer[], file: string): PersonalizeAnswer {
  const [first] = answers;
  if (first === undefined) throw new InvalidInputError(file, 'no candidate', 'at least one');
  const items = answers.flatMap((answer) => answer.items);
  const scoreOf = (item: (typeof items)[number]) => ('score' in item ? item.score : 0);
  return { ...first, items: items.sort((a, b) => scoreOf(b) - scoreOf(a) || a.index - b.index) };
}
