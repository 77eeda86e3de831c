import type { Command } from 'commander';
import type { ConsolidationReport } from '../functions/consolidate-patterns/consolidate.ts';
import { OUTPUT } from '../shared/config/names.ts';
import { invoke } from './invoke.ts';
import { printJson, printLine } from './output.ts';
import { resourceName } from './stack-outputs.ts';

interface ConsolidateOptions {
  readonly functionName?: string;
  readonly outputs?: string;
  readonly ifDue?: boolean;
  readonly json?: boolean;
}

/** `attune consolidate`: the scheduled function, on demand. */
export function consolidateCommand(command: Command): Command {
  return command
    .option('--function-name <name>', 'the consolidation function')
    .option('--outputs <file>', 'take the function from the file of cdk deploy --outputs-file')
    .option('--if-due', 'count and fit only when it is due, as a scheduled run does')
    .option('--json', 'print the report as one line of JSON')
    .action(consolidate);
}

async function consolidate(options: ConsolidateOptions): Promise<void> {
  const functionName = await resourceName(
    options.functionName,
    options.outputs,
    OUTPUT.consolidateFunctionName,
    '--function-name',
  );
  const report = await invoke<ConsolidationReport>(functionName, { force: options.ifDue !== true });
  if (options.json) return printJson(report);
  printLine(
    `${report.status}: ${report.newEpisodes} new episodes, ${report.skillsCreated} of ${report.considered} skills; ` +
      `skills version ${report.skillsVersion}`,
  );
  if (report.learnsFrom === 'picks') printLine('rewards are constant: learned which items users pick');
  if (report.pendingStored > 0)
    printLine(
      `stored ${report.pendingStored} episodes that had waited; the next run, from ten seconds on, learns from them`,
    );
  if (report.basisLearned) printLine('a basis was learned from the feedback');
  for (const { userKey, why } of report.unusualUsers) printLine(`unusual user ${userKey}: ${why}`);
  for (const { what, why } of report.rejected) printLine(`no new ${what}: ${why}`);
}
