import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../cli/replay/checkpoint.ts';
import { simulate } from '../../cli/replay/datasets/simulator.ts';
import { planReplay } from '../../cli/replay/plan.ts';
import { settingsFromContext } from '../../shared/config/settings.ts';
import { InvalidConfigurationError } from '../../shared/errors.ts';

const plan = planReplay(
  simulate({ users: 30, items: 50, interactionsPerUser: 20, embeddingDim: 16, seed: 1 }),
);

const SETTINGS = settingsFromContext({});

describe('the checkpoint of a replay', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (content: string) => writeFileSync(join(folder, 'replay.json'), content);

  test('continues where the replay stopped, up to its end', () => {
    expect(openCheckpoint(folder, plan, SETTINGS).roundsDone).toBe(0);
    openCheckpoint(folder, plan, SETTINGS).save(plan.rounds.length);
    expect(openCheckpoint(folder, plan, SETTINGS).roundsDone).toBe(plan.rounds.length);
  });

  test('of the same events under other settings is refused, because the learned state would not fit', () => {
    openCheckpoint(folder, plan, SETTINGS).save(1);
    expect(() => openCheckpoint(folder, plan, { ...SETTINGS, rank: 2 })).toThrow(
      /: found a replay under rank 4, expected 2, the setting of this start, or another folder$/,
    );
    expect(openCheckpoint(folder, plan, SETTINGS).roundsDone).toBe(1);
  });

  test('of an earlier version, which names no settings, is continued', () => {
    write(JSON.stringify({ plan: plan.id, roundsDone: 1 }));
    expect(openCheckpoint(folder, plan, SETTINGS).roundsDone).toBe(1);
  });

  test('of other events is refused', () => {
    write(JSON.stringify({ plan: 'another', roundsDone: 1 }));
    expect(() => openCheckpoint(folder, plan, SETTINGS)).toThrow(
      /: found a replay of other events, expected an empty folder/,
    );
  });

  test.each([
    ['', /found no JSON, expected a checkpoint of attune local/],
    ['{"plan"', /found no JSON/],
    ['null', /found null, expected a checkpoint of attune local/],
    ['7', /found 7, expected a checkpoint/],
    ['{"roundsDone":0}', /found \{"roundsDone":0\}, expected a checkpoint/],
    [`{"plan":"${plan.id}"}`, /expected a checkpoint/],
    [`{"plan":"${plan.id}","roundsDone":"1"}`, /expected a checkpoint/],
    [`{"plan":"${plan.id}","roundsDone":0.5}`, /expected a checkpoint/],
    [`{"plan":"${plan.id}","roundsDone":-1}`, /expected a checkpoint/],
    [
      `{"plan":"${plan.id}","roundsDone":${plan.rounds.length + 1}}`,
      new RegExp(`found round ${plan.rounds.length + 1}, expected at most ${plan.rounds.length}`),
    ],
  ])('that is invalid is refused with the name of its file: %s', (content, message) => {
    write(content);
    expect(() => openCheckpoint(folder, plan, SETTINGS)).toThrow(InvalidConfigurationError);
    expect(() => openCheckpoint(folder, plan, SETTINGS)).toThrow(message);
    expect(() => openCheckpoint(folder, plan, SETTINGS)).toThrow(join(folder, 'replay.json'));
  });
});
