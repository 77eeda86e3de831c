import { Command, Option } from 'commander';
import type { PersonalizeAnswer } from '../functions/personalize/personalize.ts';
import { OUTPUT } from '../shared/config/names.ts';
import { InvalidInputError } from '../shared/errors.ts';
import { interruption } from './exit.ts';
import { invoke } from './invoke.ts';
import { readJsonLines } from './json-lines.ts';
import { printJson, printLine } from './output.ts';
import { resourceName } from './stack-outputs.ts';

interface PersonalizeOptions {
  user: string;
  functionName?: string;
  outputs?: string;
  answer: 'scores' | 'embeddings';
  explain?: boolean;
  json?: boolean;
}

/** `attune personalize`: asks the personalize function for a user's scores or embeddings of candidates. */
export function personalizeCommand(): Command {
  return new Command('personalize')
    .description('rank candidate items, given as JSON lines, for a user')
    .argument('<file>', 'lines of {"embedding", "itemId"?}, at most 500; - is stdin')
    .requiredOption('--user <id>', 'the user')
    .option('--function-name <name>', 'the personalize function')
    .option('--outputs <file>', 'take the function from the file of cdk deploy --outputs-file')
    .addOption(
      new Option('--answer <kind>', 'what to answer').choices(['scores', 'embeddings']).default('scores'),
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
  const candidates: object[] = [];
  for await (const { line, value, fault } of readJsonLines(file, interruption())) {
    if (fault !== undefined) throw new InvalidInputError(`${file} line ${line}`, fault, 'a candidate');
    candidates.push(value);
  }
  const answer = await invoke<PersonalizeAnswer>(functionName, {
    userId: options.user,
    candidates,
    answer: options.answer,
    explain: options.explain ?? false,
  });
  if (options.json || options.answer === 'embeddings') return printJson(answer);
  printLine(
    `${answer.source}, adapter version ${answer.adapterVersion}, skills version ${answer.skillsVersion}`,
  );
  for (const item of answer.items) {
    if (!('score' in item)) continue;
    const parts =
      item.parts === undefined
        ? ''
        : `  = ${item.parts.base.toFixed(4)} + ${item.parts.item.toFixed(4)} (item) + ${item.parts.user.toFixed(4)} (user)`;
    printLine(`${item.score.toFixed(4)}  ${item.itemId ?? `line ${item.index + 1}`}${parts}`);
  }
}
