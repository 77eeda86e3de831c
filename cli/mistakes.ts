import type { Command } from 'commander';
import { oneLine } from './exit.ts';

/**
 * Tells a mistake in the use of a command in one line. An unknown option comes before a missing
 * one, because it may be meant for it.
 */
export function tellMistakes(command: Command): void {
  let missing = '';
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(`attune: ${oneLine(text.replace(/^error: /, ''))}${missing}\n`),
  });
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (argv) => {
    const parsed = parse(argv);
    if (parsed.unknown.length === 0) return parsed;
    const required = command.options.filter(
      (option) => option.mandatory && command.getOptionValue(option.attributeName()) === undefined,
    );
    for (const option of required) option.mandatory = false;
    missing = required.map(({ flags }) => `; required option '${flags}' not specified`).join('');
    return parsed;
  };
}
