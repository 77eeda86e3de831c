#!/usr/bin/env node
import './node-version.ts';
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { backupCommand } from './backup.ts';
import { basisCommand } from './basis.ts';
import { catalogueCommand } from './catalogue.ts';
import { consolidateCommand } from './consolidate.ts';
import { costCommand } from './cost.ts';
import { deployCommand } from './deploy.ts';
import { dlqCommand } from './dlq.ts';
import { doctorCommand } from './doctor.ts';
import { checkArguments, exitCodeOf, oneLine, outliveReaders } from './exit.ts';
import { exportCommand } from './export.ts';
import { forgetCommand } from './forget.ts';
import { historyCommand } from './history.ts';
import { initCommand } from './init.ts';
import { inspectCommand } from './inspect.ts';
import { localCommand } from './local.ts';
import { modelCommand } from './model.ts';
import { personalizeCommand } from './personalize.ts';
import { policyCommand } from './policy.ts';
import { publishCommand } from './publish.ts';
import { recommendCommand } from './recommend.ts';
import { restoreCommand } from './restore.ts';
import { rollbackCommand } from './rollback.ts';
import { upliftCommand } from './uplift.ts';

/** Each command has one file, which imports everything beyond its options when it runs. */
const commands = [
  initCommand,
  localCommand,
  publishCommand,
  personalizeCommand,
  recommendCommand,
  catalogueCommand,
  basisCommand,
  modelCommand,
  inspectCommand,
  historyCommand,
  rollbackCommand,
  exportCommand,
  forgetCommand,
  dlqCommand,
  backupCommand,
  restoreCommand,
  upliftCommand,
  consolidateCommand,
  deployCommand,
  doctorCommand,
  costCommand,
  policyCommand,
];

function version(): string {
  // From cli/ in the sources, and from dist/cli/ in the package.
  const root = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json';
  return JSON.parse(readFileSync(new URL(root, import.meta.url), 'utf8')).version;
}

const program = new Command('attune')
  .description('A LoRA adapter for every user over your own embeddings, learned online from feedback.')
  .version(version());
for (const command of commands) program.addCommand(command());
for (const command of [program, ...program.commands.flatMap((command) => [command, ...command.commands])]) {
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(`attune: ${oneLine(text.replace(/^error: /, ''))}\n`),
  });
}

outliveReaders();
try {
  checkArguments();
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}
