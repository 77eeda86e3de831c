import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { synthesize } from '../../infra/synth.ts';
import { synthesizedTemplate } from './template.ts';

test('the template equals the snapshot, so that every change of the deployment is visible in review', async () => {
  const { Resources, Outputs } = synthesizedTemplate().toJSON();
  for (const resource of Object.values<{ Metadata?: unknown }>(Resources)) delete resource.Metadata;
  const template = JSON.stringify({ Resources, Outputs }, null, 2)
    // Hashes of the functions' code.
    .replace(/[0-9a-f]{64}\.zip/g, '<hash>.zip');
  await expect(`${template}\n`).toMatchFileSnapshot('template.snapshot.json');
});

test('resources with data keep their logical ids, because a deployment would replace them under new ones', () => {
  const template = synthesizedTemplate();
  const ids = (type: string) => Object.keys(template.findResources(type)).sort();
  expect(ids('AWS::S3::Bucket')).toEqual(['AdaptersBucket00C64E21']);
  expect(ids('AWS::DynamoDB::GlobalTable')).toEqual(['ReasoningBankTable2CB081AB']);
  expect(ids('AWS::SQS::Queue')).toEqual([
    'ConsolidatePatternsFailuresFD904655',
    'FeedbackDeadLetters7082FC46',
    'FeedbackQueue213B2195',
  ]);
  // A second mapping of the same queue to the same function is refused.
  expect(ids('AWS::Lambda::EventSourceMapping')).toEqual([
    'UpdateAdaptersSqsEventSourceAttuneFeedbackQueue1584CEB9DDC50C21',
  ]);
});

test.each([
  ['with everything', { alarmEmail: 'a@example.org', monthlyBudget: 5, maxConcurrency: 7 }],
  ['with the least', { alarms: false, dashboard: false, tableMaxReadUnits: 11, tableMaxWriteUnits: 12 }],
])('every finding of cdk-nag and of CloudFormation has a stated reason: %s', (_, settings) => {
  const outdir = mkdtempSync(join(tmpdir(), 'attune-nag-'));
  try {
    synthesize({ outdir, bundle: false, settings });
    const report = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8'));
    expect(report.pluginReports).toEqual([]);
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
});
