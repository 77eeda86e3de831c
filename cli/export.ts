import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { peftOf, recordsOf } from '../shared/client/user-export.ts';
import { userKey } from '../shared/config/user-key.ts';
import { InvalidConfigurationError, NotFoundError } from '../shared/errors.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine } from './output.ts';

interface ExportOptions extends DeploymentOptions {
  readonly to: string;
  readonly format: 'all' | 'peft';
  readonly json?: boolean;
}

/** `attune export`: writes everything stored about a user to a folder. */
export function exportCommand(command: Command): Command {
  command
    .argument('<user>', 'the user id')
    .requiredOption('--to <folder>', 'the folder; created if it is missing')
    .addOption(
      new Option(
        '--format <format>',
        'all: everything, as stored; peft: only the adapter, as served now and as Hugging Face PEFT reads it (needs --outputs)',
      )
        .choices(['all', 'peft'])
        .default('all'),
    )
    .option('--json', 'print the names of the files as one line of JSON')
    .action(exportUser);
  return withDeployment(command, 'bucket', 'table', 'deadLetterQueueUrl');
}

async function exportUser(user: string, options: ExportOptions): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const files = await (options.format === 'peft'
      ? peftOf(user, deployment)
      : recordsOf(userKey(user), deployment));
    if (Object.keys(files).length === 0) throw new NotFoundError(`user ${user}: found nothing`);
    try {
      await mkdir(options.to, { recursive: true });
      for (const [name, content] of Object.entries(files)) await writeFile(join(options.to, name), content);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new InvalidConfigurationError(`--to ${options.to}: found no writable folder (${reason})`, {
        cause,
      });
    }
    if (options.json) printJson({ folder: options.to, files: Object.keys(files) });
    else for (const name of Object.keys(files)) printLine(join(options.to, name));
  });
}
