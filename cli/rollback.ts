import { type Command, InvalidArgumentError } from 'commander';
import { rollBack, startAnew } from '../shared/adapters/adapter-history.ts';
import { userKey } from '../shared/config/user-key.ts';
import { servedUser } from '../shared/serving/served-user.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine, printProblem } from './output.ts';

/** `attune rollback`: makes an earlier version of a user's adapter the newest. */
export function rollbackCommand(command: Command): Command {
  command
    .argument('<user>', 'the user id')
    .requiredOption(
      '--to <version>',
      'the earlier version; see attune history. 0: start anew, if no version is readable',
      versionNumber,
    )
    .option('--json', 'print the result as one line of JSON')
    .action(rollback);
  return withDeployment(command, 'bucket');
}

async function rollback(
  user: string,
  options: DeploymentOptions & { to: number; json?: boolean },
): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const key = userKey(user);
    const records = await deployment.bucket();
    if (options.to === 0) {
      await startAnew(key, records);
      if (options.json) return printJson({ version: 0, learnedAs: 0 });
      return printLine('the user starts anew with the next event; earlier versions stay in the bucket');
    }
    const { version } = await rollBack(key, options.to, records, Date.now());
    const served =
      options.outputs === undefined ? undefined : await servedUser(user, await deployment.serving(0));
    if (options.json) printJson({ version, learnedAs: options.to, served: served?.source ?? null });
    else {
      const now = served === undefined ? '' : `; served now: ${served.source}`;
      printLine(
        `version ${version} has the learned state of version ${options.to}; later events continue from it${now}`,
      );
    }
    if (served !== undefined && served.adapter === undefined) {
      printProblem(
        `version ${options.to} was learned under other settings or another basis: it is not served, and later events start anew`,
      );
    }
  });
}

function versionNumber(text: string): number {
  if (/^(0|[1-9]\d{0,8})$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a version number.');
}
