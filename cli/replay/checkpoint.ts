import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidConfigurationError } from '../../shared/errors.ts';
import type { ReplayPlan } from './plan.ts';

const FILE = 'replay.json';

/** How many rounds of a replay are behind it, consolidation included; kept beside the data of the stack. */
export interface Checkpoint {
  readonly roundsDone: number;
  save(roundsDone: number): void;
}

/**
 * @param dataDir undefined: nothing is kept
 * @throws InvalidConfigurationError when the folder holds another replay
 */
export function openCheckpoint(dataDir: string | undefined, plan: ReplayPlan): Checkpoint {
  if (dataDir === undefined) return { roundsDone: 0, save() {} };
  const file = join(dataDir, FILE);
  const found = read(file);
  if (found !== undefined && found.plan !== plan.id) {
    throw new InvalidConfigurationError(
      `--data ${dataDir}: found a replay of other events, expected an empty folder or the options it was begun with`,
    );
  }
  return {
    roundsDone: found?.roundsDone ?? 0,
    save(roundsDone) {
      writeFileSync(`${file}.new`, JSON.stringify({ plan: plan.id, roundsDone }));
      renameSync(`${file}.new`, file);
    },
  };
}

function read(file: string): { plan: string; roundsDone: number } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { plan: string; roundsDone: number };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new InvalidConfigurationError(`${file}: found no readable checkpoint`, { cause: error });
  }
}
