import type { Command } from 'commander';
import type { StoredAdapter } from '../shared/adapters/adapter-object.ts';
import type { Deployment } from '../shared/client/deployment.ts';
import { userKey } from '../shared/config/user-key.ts';
import { NotFoundError } from '../shared/errors.ts';
import { hasConstantRewards } from '../shared/lora/picks.ts';
import { learnsFrom } from '../shared/population/population-model.ts';
import { servedUser } from '../shared/serving/served-user.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { inWords } from './inspect-words.ts';
import { printJson, printLine, printProblem } from './output.ts';

/** `attune inspect`: shows a user's adapter without its weights. */
export function inspectCommand(command: Command): Command {
  command.argument('<user>', 'the user id').option('--json', 'print it as one line of JSON').action(inspect);
  return withDeployment(command, 'bucket');
}

async function inspect(user: string, options: DeploymentOptions & { json?: boolean }): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const { damage } = await (await deployment.bucket()).adapters.find(userKey(user));
    if (damage !== undefined) printProblem(`the newest version is damaged: ${damage.message}`);
    const { adapter, ...served } =
      options.outputs === undefined ? await storedAlone(user, deployment) : await serving(user, deployment);
    if (adapter === undefined) {
      throw new NotFoundError(
        damage === undefined
          ? `user ${user}: found no adapter`
          : `user ${user}: found no version that can be read; attune rollback <user> --to 0 lets the user start anew`,
      );
    }
    const damaged = damage === undefined ? {} : { damaged: damage.message };
    const facts = { ...factsOf(adapter), ...damaged, ...served };
    if (options.json) return printJson(facts);
    for (const sentence of inWords(user, facts)) printLine(sentence);
    printLine('');
    for (const [name, value] of Object.entries(facts)) printLine(`${name.padEnd(22)}${value ?? '–'}`);
  });
}

/**
 * The outputs hold the settings that decide what the user is served with. Without them, the command
 * shows only the stored adapter.
 */
async function storedAlone(user: string, deployment: Deployment) {
  const { adapters } = await deployment.bucket();
  const adapter = (await adapters.load(userKey(user)))?.adapter;
  return { adapter, served: null, servedSkillsVersion: null, learnsFrom: null, fitsDeployment: null };
}

async function serving(user: string, deployment: Deployment) {
  const { source, stored, adapter, shared } = await servedUser(user, await deployment.serving(0));
  return {
    adapter: stored,
    served: source,
    servedSkillsVersion: shared.population.version,
    learnsFrom: learnsFrom(shared.population),
    fitsDeployment: adapter !== undefined,
  };
}

function factsOf(adapter: StoredAdapter) {
  const { state } = adapter;
  const { record, learner } = state;
  const { picks = null, statistics = null } = state.learner === 'bayesian' ? state : {};
  const ranking = picks?.ranking;
  const mean = (sum: number) => (record.count === 0 ? null : sum / record.count);
  return {
    userKey: adapter.userKey,
    version: adapter.version,
    createdAt: new Date(adapter.createdAt).toISOString(),
    updatedAt: new Date(adapter.updatedAt).toISOString(),
    learner,
    rank: adapter.rank,
    embeddingDim: adapter.embeddingDim,
    embeddingModel: adapter.embeddingModel,
    skillsVersion: adapter.skillsVersion,
    rewards: record.count,
    items: adapter.recentItems?.keys.length ?? 0,
    loss: mean(record.adapterLoss),
    lossWithoutAdapter: mean(record.userMeanLoss),
    lossOfWarmStart: mean(record.warmStartLoss),
    allRewardsEqual:
      picks && statistics && statistics.count > 0 ? hasConstantRewards(picks, statistics.count) : null,
    picksRanked: ranking?.count ?? 0,
    meanPickPercentile: ranking && ranking.count > 0 ? 0.5 + ranking.excess / ranking.count : null,
  };
}
