import { expect, test, vi } from 'vitest';
import type { ConsolidationReport } from '../../../functions/consolidate-patterns/consolidate.ts';
import { recordReport } from '../../../functions/consolidate-patterns/record-report.ts';
import { createTelemetry } from '../../../shared/config/telemetry.ts';

const REPORT: ConsolidationReport = {
  status: 'consolidated',
  newEpisodes: 9,
  pendingStored: 0,
  skillsCreated: 2,
  considered: 2,
  rejected: [],
  skillsVersion: 1,
  items: 3,
  learnsFrom: 'rewards',
  popularityHalfLife: null,
  learnsAnew: false,
  evidence: null,
  priorAccepted: true,
  basisLearned: false,
  pickRanking: null,
  strategy: null,
  unusualUsers: [],
  uplift: {
    users: 5,
    heldOutUsers: 0,
    loss: { mean: -0.1, low: -0.2, high: 0 },
    reward: { mean: null, low: null, high: null },
  },
};

test('the uplift becomes metrics with its interval, and unknown values become none', () => {
  const telemetry = createTelemetry({ ATTUNE_DEPLOYMENT: 'Attune-test' });
  vi.spyOn(telemetry.logger, 'info').mockReturnValue(undefined);
  const added = vi.spyOn(telemetry.metrics, 'addMetric');
  const published = vi.spyOn(telemetry.metrics, 'publishStoredMetrics').mockReturnValue(telemetry.metrics);
  recordReport(REPORT, telemetry);
  expect(added.mock.calls.map(([name, , value]) => [name, value])).toEqual([
    ['Consolidations', 1],
    ['SkillsCreated', 2],
    ['ConsolidationsEffective', 1],
    ['LossChange', -0.1],
    ['LossChangeLow', -0.2],
    ['LossChangeHigh', 0],
  ]);
  expect(published).toHaveBeenCalledOnce();
});

test('what is learned from is logged by the run that finds it out', () => {
  const telemetry = createTelemetry({ ATTUNE_DEPLOYMENT: 'Attune-test' });
  const logged = vi.spyOn(telemetry.logger, 'info').mockReturnValue(undefined);
  vi.spyOn(telemetry.metrics, 'publishStoredMetrics').mockReturnValue(telemetry.metrics);
  const messagesOf = (report: ConsolidationReport) => {
    logged.mockClear();
    recordReport(report, telemetry);
    return logged.mock.calls.map(([message]) => message);
  };
  expect(messagesOf({ ...REPORT, learnsFrom: 'picks' })).toEqual(['consolidation']);
  const [, found] = messagesOf({ ...REPORT, learnsFrom: 'picks', learnsAnew: true });
  expect(found).toContain('each is learned as a pick');
  expect(messagesOf({ ...REPORT, learnsAnew: true })[1]).toContain('rewards differ');
});

test('the ranking of picks becomes metrics where users only pick', () => {
  const telemetry = createTelemetry({ ATTUNE_DEPLOYMENT: 'Attune-test' });
  vi.spyOn(telemetry.logger, 'info').mockReturnValue(undefined);
  const added = vi.spyOn(telemetry.metrics, 'addMetric');
  vi.spyOn(telemetry.metrics, 'publishStoredMetrics').mockReturnValue(telemetry.metrics);
  const pickRanking = { users: 4, percentile: { mean: 0.7, low: 0.6, high: 0.8 } };
  recordReport({ ...REPORT, learnsFrom: 'picks', pickRanking }, telemetry);
  const values = new Map(added.mock.calls.map(([name, , value]) => [name, value]));
  expect([values.get('PickPercentile'), values.get('PickPercentileHigh')]).toEqual([0.7, 0.8]);
});

const EVIDENCE = {
  users: 9,
  interactions: 90,
  validationUsers: 1,
  logLikelihoodBefore: 0,
  logLikelihoodAfter: 1,
  gainInterval: { low: 0, high: 1 },
  shortfall: 0,
};

test.each([
  [{ evidence: EVIDENCE, priorAccepted: true }, ['PriorsAccepted', 1]],
  [{ evidence: EVIDENCE, priorAccepted: false }, ['PriorsRefused', 1]],
  [{ evidence: null, priorAccepted: false }, undefined],
  // The evidence of the current prior.
  [{ status: 'nothing-new', evidence: EVIDENCE, priorAccepted: false } as const, undefined],
])('the result of a fit is counted: %j', (changes, expected) => {
  const telemetry = createTelemetry({});
  vi.spyOn(telemetry.logger, 'info').mockReturnValue(undefined);
  const added = vi.spyOn(telemetry.metrics, 'addMetric');
  vi.spyOn(telemetry.metrics, 'publishStoredMetrics').mockReturnValue(telemetry.metrics);
  recordReport({ ...REPORT, ...(changes as Partial<ConsolidationReport>) }, telemetry);
  const counted = added.mock.calls.map(([name, , value]) => [name, value]);
  expect(counted.find(([name]) => String(name).startsWith('Priors'))).toEqual(expected);
  const effective = 'status' in changes ? 0 : 1;
  expect(counted).toContainEqual(['ConsolidationsEffective', effective]);
});
