import { type Command, InvalidArgumentError } from 'commander';
import { cellOf } from '../shared/episodes/episode.ts';
import { NotFoundError } from '../shared/errors.ts';
import type { Estimate } from '../shared/population/uplift.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine } from './output.ts';
import { learningSettings } from './stack-outputs.ts';

interface UpliftOptions extends DeploymentOptions {
  readonly cell?: string;
  readonly episodes: number;
  readonly json?: boolean;
}

/** The cell of the default settings. */
const DEFAULT_CELL = 'bayesian-r4-d64';

/** `attune uplift`: the effect of adapters in production. */
export function upliftCommand(command: Command): Command {
  command
    .option(
      '--cell <name>',
      `learner, rank and embedding length; default: from --outputs, otherwise ${DEFAULT_CELL}`,
    )
    .option('--episodes <n>', 'most episodes to read, the newest', wholeNumber, 5_000)
    .option('--json', 'print the result as one line of JSON')
    .action(uplift);
  return withDeployment(command, 'table');
}

async function uplift(options: UpliftOptions): Promise<void> {
  const { upliftOf } = await import('../shared/population/uplift.ts');
  await onDeployment(options, async (deployment) => {
    const cell = options.cell ?? (await cellFrom(options.outputs));
    const episodes = await (await deployment.episodes()).recent(cell, options.episodes);
    if (episodes.length === 0) throw new NotFoundError(`found no episodes of cell ${cell}`);
    const found = upliftOf(episodes);
    if (options.json) return printJson({ episodes: episodes.length, ...found });
    printLine(`${episodes.length} episodes of ${found.users} users, ${found.heldOutUsers} of them held out`);
    printLine(`loss of predicted reward, adapters against none: ${percent(found.loss)}`);
    printLine(`mean reward, served with adapters minus held out: ${plain(found.reward)}`);
  });
}

async function cellFrom(outputs: string | undefined): Promise<string> {
  return outputs === undefined ? DEFAULT_CELL : cellOf(await learningSettings(outputs));
}

function percent({ mean, low, high }: Estimate): string {
  if (mean === null || low === null || high === null) return 'too few users to tell';
  const shown = (value: number) => `${value > 0 ? '+' : ''}${(value * 100).toFixed(1)} %`;
  return `${shown(mean)} [${shown(low)}, ${shown(high)}]`;
}

function plain({ mean, low, high }: Estimate): string {
  if (mean === null || low === null || high === null) return 'too few users on either side to tell';
  const shown = (value: number) => `${value > 0 ? '+' : ''}${value.toFixed(4)}`;
  return `${shown(mean)} [${shown(low)}, ${shown(high)}]`;
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number from 1 to 99999.');
}
