#!/usr/bin/env node
import './node-version.ts';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { COMMANDS } from './commands.ts';
import { checkArguments, exitCodeOf, outliveReaders } from './exit.ts';
import { tellMistakes } from './mistakes.ts';

function version(): string {
  // From cli/ in the sources, and from dist/cli/ in the package.
  const root = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json';
  return JSON.parse(readFileSync(new URL(root, import.meta.url), 'utf8')).version;
}

const program = new Command('attune')
  .description('A LoRA adapter for every user over your own embeddings, learned online from feedback.')
  .version(version());
for (const { name, description } of COMMANDS) program.command(name).description(description);

outliveReaders();
try {
  checkArguments();
  await addNamedCommand();
  for (const command of [program, ...program.commands.flatMap((command) => [command, ...command.commands])])
    tellMistakes(command);
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

/** The others stay without options, which only their own help shows. */
async function addNamedCommand(): Promise<void> {
  const words = process.argv.slice(2).filter((word) => !word.startsWith('-'));
  const name = words[0] === 'help' ? words[1] : words[0];
  const named = COMMANDS.find((command) => command.name === name);
  if (named === undefined) return;
  const add = await named.load();
  add(program.commands.find((command) => command.name() === name)!);
}
