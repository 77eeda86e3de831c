import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  environmentOf,
  settingsFromContext,
  settingsFromEnvironment,
} from '../../../shared/config/settings.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';

describe('settings of a deployment', () => {
  test('have defaults for all required values', () => {
    expect(settingsFromContext({})).toEqual({
      embeddingDim: 64,
      embeddingModel: 'default',
      rank: 4,
      scalingFactor: 1,
      learner: 'bayesian',
      learningRate: 1,
      exploration: 0,
      episodeTtlDays: 90,
      transfer: 'on',
      holdout: 0,
      consolidationSchedule: 'rate(15 minutes)',
      maxConcurrency: 5,
      updateMemory: 512,
      personalizeMemory: 512,
      consolidateMemory: 1024,
      logRetentionDays: 30,
      removalPolicy: 'retain',
      alarms: true,
      dashboard: true,
      tableMaxReadUnits: 1000,
      tableMaxWriteUnits: 1000,
      stackName: 'Attune',
    });
  });

  test('let the learner sgd have a learning rate, and exploring users', () => {
    const steps = { learner: 'sgd', learningRate: 0.1, exploration: 0.2 };
    expect(settingsFromContext(steps)).toMatchObject(steps);
    expect(settingsFromContext({ learner: 'sgd' })).toMatchObject({ learningRate: 1, exploration: 0 });
  });

  test('let the learner sgd have more weights than the default learner', () => {
    const large = { learner: 'sgd', rank: 64, embeddingDim: 4096 };
    expect(settingsFromContext(large)).toMatchObject(large);
  });

  test('cannot be changed', () => {
    expect(settingsFromContext({})).toSatisfy(Object.isFrozen);
  });

  test('may be numbers written as text, as the command line gives them', () => {
    expect(settingsFromContext({ embeddingDim: '128', scalingFactor: '0.5' })).toMatchObject({
      embeddingDim: 128,
      scalingFactor: 0.5,
    });
  });

  test.each([
    [{ embeddingDim: 15 }, 'embeddingDim: found 15, expected an integer from 16 to 4096'],
    [{ embeddingDim: 4097 }, 'embeddingDim: found 4097, expected an integer from 16 to 4096'],
    [{ embeddingDim: 64.5 }, 'embeddingDim: found 64.5, expected an integer from 16 to 4096'],
    [{ embeddingDim: '' }, 'embeddingDim: found "", expected an integer from 16 to 4096'],
    [{ embeddingDim: '0x40' }, 'embeddingDim: found "0x40", expected an integer from 16 to 4096'],
    [{ embeddingDim: Number.NaN }, 'embeddingDim: found NaN, expected an integer from 16 to 4096'],
    [{ rank: true }, 'rank: found true, expected an integer from 1 to 64'],
    [{ rank: 0 }, 'rank: found 0, expected an integer from 1 to 64'],
    [{ rank: null }, 'rank: found null, expected an integer from 1 to 64'],
    [
      { rank: 64, embeddingDim: 4096 },
      "rank: found 64, expected rank × embeddingDim of at most 16384 for the learner 'bayesian'",
    ],
    [{ scalingFactor: 0 }, 'scalingFactor: found 0, expected a number from 0.001 to 1024'],
    [{ scalingFactor: 1e-300 }, 'scalingFactor: found 1e-300, expected a number from 0.001 to 1024'],
    [{ scalingFactor: 1025 }, 'scalingFactor: found 1025, expected a number from 0.001 to 1024'],
    [
      { embeddingModel: '' },
      'embeddingModel: found "", expected 1 to 128 characters without control characters or lone surrogates',
    ],
    [
      { embeddingModel: 'a\nb' },
      'embeddingModel: found "a\\nb", expected 1 to 128 characters without control characters or lone surrogates',
    ],
    [{ transfer: 'yes' }, 'transfer: found "yes", expected "on" or "off"'],
    [{ holdout: 0.6 }, 'holdout: found 0.6, expected a number from 0 to 0.5'],
    [{ learner: 'adam' }, 'learner: found "adam", expected "bayesian" or "sgd"'],
    [{ learningRate: 0 }, 'learningRate: found 0, expected a number from 0.000001 to 10'],
    [{ exploration: 0.6 }, 'exploration: found 0.6, expected a number from 0 to 0.5'],
    [{ exploration: 0.1 }, "exploration: found 0.1, expected 0 unless the learner is 'sgd'"],
    [{ learningRate: 1 }, "learningRate: found 1, expected no value unless the learner is 'sgd'"],
    [{ episodeTtlDays: 0 }, 'episodeTtlDays: found 0, expected an integer from 1 to 3650'],
    [{ updateMemory: 127 }, 'updateMemory: found 127, expected an integer from 128 to 10240'],
    [{ url: 'yes' }, 'url: found "yes", expected true or false'],
    [{ removalPolicy: 'keep' }, 'removalPolicy: found "keep", expected "retain" or "destroy"'],
    [
      { logRetentionDays: 31 },
      'logRetentionDays: found 31, expected one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653',
    ],
    [{ maxConcurrency: 1 }, 'maxConcurrency: found 1, expected an integer from 2 to 1000'],
    [{ maxConcurrency: 1001 }, 'maxConcurrency: found 1001, expected an integer from 2 to 1000'],
    [{ tableMaxReadUnits: 0 }, 'tableMaxReadUnits: found 0, expected an integer from 1 to 40000'],
    [{ tableMaxWriteUnits: -1 }, 'tableMaxWriteUnits: found -1, expected an integer from 1 to 40000'],
    [
      { stackName: '1st' },
      'stackName: found "1st", expected a letter and at most 62 letters, digits and hyphens',
    ],
    [{ alarmEmail: 'me' }, 'alarmEmail: found "me", expected an e-mail address'],
    [{ monthlyBudget: 5 }, 'alarmEmail: found nothing, expected an e-mail address when monthlyBudget is set'],
  ])('%j is refused by name, with what was found and what was expected', (context, message) => {
    expect(() => settingsFromContext(context)).toThrow(new InvalidConfigurationError(message));
  });

  test('with an unknown name are refused, and the error lists the valid names', () => {
    expect(() => settingsFromContext({ embedingDim: 64 })).toThrow(
      /^found the unknown field "embedingDim", expected one of embeddingDim, embeddingModel, rank, /,
    );
  });

  test('are refused all at once', () => {
    expect(() => settingsFromContext({ rank: 0, episodeTtlDays: 'x' })).toThrow(
      new InvalidConfigurationError(
        'rank: found 0, expected an integer from 1 to 64; episodeTtlDays: found "x", expected an integer from 1 to 3650',
      ),
    );
  });
});

describe('the schedule of consolidation', () => {
  test.each([
    'rate(1 minute)',
    'rate(12 hours)',
    'cron(0 3 * * ? *)',
    'cron(0/15 8-17 ? * MON-FRI *)',
    'cron(30 6 L * ? 2027)',
    'cron(0 9 ? * 2#1 *)',
    'cron(0,30 0 1,15 JAN,JUL ? *)',
  ])('may be %s', (consolidationSchedule) => {
    expect(settingsFromContext({ consolidationSchedule }).consolidationSchedule).toBe(consolidationSchedule);
  });

  test.each([
    '',
    'hourly',
    'rate(0 hours)',
    'rate(1.5 hours)',
    'rate(1 fortnight)',
    'cron(* * * * *)',
    'cron(0 3 * * * *)',
    'cron(0 3 ? * ? *)',
    'cron(0 3 1 * 2 *)',
    'cron(60 3 * * ? *)',
    'cron(0 24 * * ? *)',
    'cron(0 3 32 * ? *)',
    'cron(0 3 * 13 ? *)',
    'cron(0/0 3 * * ? *)',
    'cron(A B ? C D E)',
    'cron(0 0 JAN * ? *)',
    'cron(0 3 * * ? 1066)',
    'cron(0 3 * * ? *) ',
    'at(2030-01-01T00:00:00)',
    7,
  ])('may not be %j', (consolidationSchedule) => {
    expect(() => settingsFromContext({ consolidationSchedule })).toThrow(
      /^consolidationSchedule: found .*, expected /,
    );
  });
});

describe('the environment of a function', () => {
  const complete = {
    ATTUNE_BUCKET: 'bucket',
    ATTUNE_TABLE: 'table',
    ATTUNE_EMBEDDING_DIM: '64',
    ATTUNE_EMBEDDING_MODEL: 'default',
    ATTUNE_RANK: '4',
    ATTUNE_SCALING_FACTOR: '4',
    ATTUNE_LEARNER: 'bayesian',
    ATTUNE_LEARNING_RATE: '1',
    ATTUNE_EXPLORATION: '0',
    ATTUNE_EPISODE_TTL_DAYS: '90',
    ATTUNE_TRANSFER: 'on',
    ATTUNE_HOLDOUT: '0',
  };

  test('is parsed to typed settings', () => {
    expect(settingsFromEnvironment({ ...complete, PATH: '/bin' })).toEqual({
      bucket: 'bucket',
      table: 'table',
      embeddingDim: 64,
      embeddingModel: 'default',
      rank: 4,
      scalingFactor: 4,
      learner: 'bayesian',
      learningRate: 1,
      exploration: 0,
      episodeTtlDays: 90,
      transfer: 'on',
      holdout: 0,
    });
  });

  test('names every variable that is missing or malformed', () => {
    const { ATTUNE_TABLE: _, ...incomplete } = { ...complete, ATTUNE_RANK: 'four' };
    expect(() => settingsFromEnvironment(incomplete)).toThrow(
      new InvalidConfigurationError(
        'ATTUNE_RANK: found "four", expected an integer from 1 to 64; ATTUNE_TABLE: found nothing, expected the name of the table',
      ),
    );
  });

  test('is read back to the same settings, for random settings', () => {
    const settings = fc.record({
      embeddingDim: fc.integer({ min: 16, max: 4096 }),
      embeddingModel: fc.string({ minLength: 1, maxLength: 40 }).filter((s) => /^\P{Cc}+$/u.test(s)),
      rank: fc.integer({ min: 1, max: 64 }),
      scalingFactor: fc.double({ min: 0.001, max: 1024, noNaN: true }),
      learner: fc.constantFrom('bayesian' as const, 'sgd' as const),
      learningRate: fc.double({ min: 1e-6, max: 10, noNaN: true }),
      exploration: fc.double({ min: 0, max: 0.5, noNaN: true }),
      episodeTtlDays: fc.integer({ min: 1, max: 3650 }),
      transfer: fc.constantFrom('on' as const, 'off' as const),
      holdout: fc.double({ min: 0, max: 0.5, noNaN: true }),
      bucket: fc.constant('bucket'),
      table: fc.constant('table'),
    });
    fc.assert(
      fc.property(settings, (given) => {
        expect(settingsFromEnvironment(environmentOf(given))).toEqual(given);
      }),
    );
  });
});
