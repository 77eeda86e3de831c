import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { type LearningSettings, learningSettingsOf } from '../../shared/config/settings.ts';
import { InvalidConfigurationError, shown } from '../../shared/errors.ts';
import type { ReplayPlan } from './plan.ts';

const FILE = 'replay.json';

const saved = z.object({
  plan: z.string(),
  roundsDone: z.int().min(0),
  /** Missing in checkpoints of earlier versions. */
  settings: z.record(z.string(), z.unknown()).optional(),
});

/** Replaces a plan's id in the data folder of a stack that was started empty. */
const OWN_DATA = 'own-data';

/**
 * The number of completed rounds of a replay, consolidation included, stored beside the data of the
 * stack.
 */
export interface Checkpoint {
  readonly roundsDone: number;
  save(roundsDone: number): void;
}

/**
 * Marks a data folder without a replay, so that none is ever replayed into it.
 * @param dataDir undefined: nothing is stored
 */
export function claimForOwnData(dataDir: string | undefined): void {
  if (dataDir === undefined || read(join(dataDir, FILE)) !== undefined) return;
  writeFileSync(join(dataDir, FILE), JSON.stringify({ plan: OWN_DATA, roundsDone: 0 }));
}

/**
 * @param dataDir undefined: nothing is stored
 * @throws InvalidConfigurationError when the folder holds another replay or one under other
 *   settings, or an invalid checkpoint
 */
export function openCheckpoint(
  dataDir: string | undefined,
  plan: ReplayPlan,
  learning: LearningSettings,
): Checkpoint {
  if (dataDir === undefined) return { roundsDone: 0, save() {} };
  const file = join(dataDir, FILE);
  const found = read(file);
  if (found?.plan === OWN_DATA) {
    throw new InvalidConfigurationError(
      `--data ${dataDir}: found data of your own, expected --empty or another folder, because a replay would mix with it`,
    );
  }
  if (found !== undefined && found.plan !== plan.id) {
    throw new InvalidConfigurationError(
      `--data ${dataDir}: found a replay of other events, expected an empty folder or the options that it was started with`,
    );
  }
  const settings = learningSettingsOf(learning);
  for (const [name, value] of Object.entries(settings)) {
    const before = found?.settings?.[name] ?? value;
    if (before === value) continue;
    throw new InvalidConfigurationError(
      `--data ${dataDir}: found a replay under ${name} ${shown(before)}, expected ${shown(value)}, the setting of this start, or another folder`,
    );
  }
  const roundsDone = found?.roundsDone ?? 0;
  if (roundsDone > plan.rounds.length) {
    throw new InvalidConfigurationError(
      `${file}: found round ${roundsDone}, expected at most ${plan.rounds.length}`,
    );
  }
  return {
    roundsDone,
    save(done) {
      writeFileSync(`${file}.new`, JSON.stringify({ plan: plan.id, roundsDone: done, settings }));
      renameSync(`${file}.new`, file);
    },
  };
}

function read(file: string): z.output<typeof saved> | undefined {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw noCheckpoint(file, cause instanceof SyntaxError ? 'no JSON' : String(cause), cause);
  }
  const result = saved.safeParse(found);
  if (!result.success) throw noCheckpoint(file, shown(found), result.error);
  return result.data;
}

function noCheckpoint(file: string, found: string, cause: unknown): InvalidConfigurationError {
  return new InvalidConfigurationError(
    `${file}: found ${found}, expected a checkpoint of attune local: ` +
      'its plan, and roundsDone as an integer from 0',
    { cause },
  );
}
