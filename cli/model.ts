import { Argument, Command } from 'commander';
import { NotFoundError } from '../shared/errors.ts';
import type { ModelPart, ModelVersion } from '../shared/population/model-history.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine } from './output.ts';
import { learningSettings } from './stack-outputs.ts';

interface ModelOptions extends DeploymentOptions {
  readonly version?: string;
  readonly to: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `attune model`: shows the population model and its earlier versions, and rolls back to them. */
export function modelCommand(command: Command): Command {
  const sub = (name: string, description: string) =>
    withDeployment(new Command(name).description(description), 'bucket')
      .addArgument(new Argument('<part>', 'the part of the model').choices(['basis', 'skills']))
      .option('--json', 'print the result as one line of JSON');
  const history = sub('history', 'list the stored versions, newest first').action(showHistory);
  const show = sub('show', 'show the content of a version')
    .option('--version <id>', 'see attune model history; default: the newest')
    .action(showVersion);
  const rollback = sub(
    'rollback',
    'make an earlier version the current one, also over a damaged or deleted one',
  )
    .requiredOption('--to <id>', 'the earlier version; see attune model history')
    .option('--force', 'also if users under the current basis then start anew')
    .action(rollBack);
  return [history, show, rollback].reduce((parent, child) => parent.addCommand(child), command);
}

async function showHistory(part: ModelPart, options: ModelOptions): Promise<void> {
  const versions = await fromVersions(part, options, summaryOf);
  if (versions.length === 0) throw new NotFoundError(`${part}: found no version`);
  if (options.json) return printJson(versions);
  for (const { versionId, lastModified, bytes, what } of versions)
    printLine(`${versionId}  ${lastModified}  ${String(bytes).padStart(9)} bytes  ${what}`);
}

async function showVersion(part: ModelPart, options: ModelOptions): Promise<void> {
  const wanted = options.version;
  const isWanted = ({ versionId, latest }: ModelVersion) =>
    wanted === undefined ? latest : versionId === wanted;
  const versions = await fromVersions(part, options, (version) => (isWanted(version) ? version : undefined));
  const found = versions.find((version) => version !== undefined);
  if (found === undefined) throw new NotFoundError(`${part}: found no version ${wanted ?? 'at all'}`);
  const facts = { ...summaryOf(found), ...factsOf(found) };
  if (options.json) return printJson(facts);
  for (const [name, value] of Object.entries(facts))
    printLine(`${name.padEnd(20)}${typeof value === 'object' ? JSON.stringify(value) : value}`);
}

async function rollBack(part: ModelPart, options: ModelOptions): Promise<void> {
  const settings = await learningSettings(options.outputs);
  const { rollBackModel } = await import('../shared/population/model-history.ts');
  const version = await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    return rollBackModel(part, options.to, settings, objects, options.force === true);
  });
  if (options.json) return printJson({ part, ...summaryOf(version) });
  printLine(`${part}: ${summaryOf(version).what} is current again; instances use it within half a minute`);
}

/** What `select` takes from every version. There may be thousands, so only that is held. */
async function fromVersions<T>(
  part: ModelPart,
  options: ModelOptions,
  select: (version: ModelVersion) => T,
): Promise<Awaited<T>[]> {
  const settings = await learningSettings(options.outputs);
  const { modelVersions } = await import('../shared/population/model-history.ts');
  return onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    return Array.fromAsync(modelVersions(part, settings, objects), select);
  });
}

function summaryOf({ versionId, lastModified, bytes, latest, deleted, damage, basis, skills }: ModelVersion) {
  const what =
    damage !== undefined
      ? `damaged: ${damage.message}`
      : deleted
        ? 'deleted'
        : basis !== undefined
          ? `basis ${basis.basis.id}`
          : `skills version ${skills?.version}`;
  return { versionId, lastModified: lastModified.toISOString(), latest, bytes, what };
}

function factsOf({ basis, skills }: ModelVersion): object {
  if (basis !== undefined) {
    const { embeddingModel, learnedFrom = null, carryOvers = [] } = basis;
    const { id, rank, embeddingDim, projectionDim } = basis.basis;
    return {
      basis: id,
      embeddingModel,
      embeddingDim,
      rank,
      coefficients: projectionDim,
      learnedFrom,
      carriedOverFrom: carryOvers.map(({ fromBasisId }) => fromBasisId),
    };
  }
  if (skills === undefined) return {};
  const { version, prior, priorVersion, items, progress, recommended, evidence } = skills;
  return {
    version,
    basis: prior.basisId,
    meanReward: prior.meanReward,
    noiseVariance: prior.noiseVariance,
    priorOfVersion: priorVersion,
    items: items.sums.size,
    itemShrinkage: items.shrinkage,
    episodes: progress.episodes,
    consolidatedAt: new Date(progress.at).toISOString(),
    recommended,
    evidence,
  };
}
