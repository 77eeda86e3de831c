import type { Command } from 'commander';
import { adapterVersions } from '../shared/adapters/adapter-history.ts';
import { userKey } from '../shared/config/user-key.ts';
import { NotFoundError } from '../shared/errors.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine, printProblem } from './output.ts';

/** `attune history`: the versions of a user's adapter that can be rolled back to. */
export function historyCommand(command: Command): Command {
  command
    .argument('<user>', 'the user id')
    .option('--json', 'print them as one line of JSON')
    .action(history);
  return withDeployment(command, 'bucket');
}

async function history(user: string, options: DeploymentOptions & { json?: boolean }): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const versions = [];
    const damaged = [];
    for await (const found of adapterVersions(userKey(user), objects)) {
      if (found.damage !== undefined) {
        damaged.push({ versionId: found.versionId, bytes: found.body.length, damaged: found.damage.message });
        continue;
      }
      const { adapter, bytes } = found;
      const { version, updatedAt, state, lastEpisode } = adapter;
      versions.push({
        version,
        updatedAt: new Date(updatedAt).toISOString(),
        rewards: state.record.count,
        // A rollback applies no events: its last episode is that of an earlier update.
        events: lastEpisode?.version === version ? lastEpisode.context.events : 0,
        bytes,
      });
    }
    for (const { versionId, damaged: reason } of damaged)
      printProblem(`version ${versionId} is damaged and cannot be restored: ${reason}`);
    if (versions.length + damaged.length === 0) throw new NotFoundError(`user ${user}: found no adapter`);
    if (options.json) return printJson([...versions, ...damaged]);
    printLine('version  updated                   events  rewards so far     bytes');
    for (const { version, updatedAt, events, rewards, bytes } of versions) {
      const columns = [
        String(version).padStart(7),
        updatedAt,
        (events === 0 ? 'rollback' : String(events)).padStart(events === 0 ? 8 : 6),
        String(rewards).padStart(events === 0 ? 12 : 14),
        String(bytes).padStart(8),
      ];
      printLine(columns.join('  '));
    }
  });
}
