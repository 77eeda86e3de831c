import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { synthesize } from '../../infra/synth.ts';
import { settingsFromContext, settingsFromEnvironment } from '../../shared/config/settings.ts';
import { synthesizedTemplate } from './template.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-synth-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the app as `cdk synth --no-validation` does, with `-c key=value` as context. */
function runApp(context: Record<string, unknown>) {
  return spawnSync(process.execPath, ['infra/app.ts'], {
    cwd: project,
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: join(folder, 'cli'),
      CDK_VALIDATION: 'false',
      CDK_CONTEXT_JSON: JSON.stringify({ 'aws:cdk:bundling-stacks': [], ...context }),
    },
  });
}

test('settings of the option -c reach the stack and override single settings of cdk.json', () => {
  const run = runApp({
    attune: { rank: 2, embeddingDim: 32 },
    'attune:rank': '8',
    'attune:stackName': 'Attune-test',
    // Synthesis warns of alarms that nobody hears.
    'attune:alarmEmail': 'operators@example.org',
  });
  expect([run.status, run.stderr]).toEqual([0, '']);
  expect(existsSync(join(folder, 'cli', 'validation-report.json'))).toBe(false);
  const template = JSON.parse(readFileSync(join(folder, 'cli', 'Attune.template.json'), 'utf8'));
  const fn: { Properties: { Environment: { Variables: Record<string, unknown> } } } | undefined =
    Object.values<{
      Type: string;
      Properties: { Environment: { Variables: Record<string, unknown> } };
    }>(template.Resources).find(({ Type }) => Type === 'AWS::Lambda::Function');
  expect(fn?.Properties.Environment.Variables).toMatchObject({
    ATTUNE_RANK: '8',
    ATTUNE_EMBEDDING_DIM: '32',
  });
  const manifest = JSON.parse(readFileSync(join(folder, 'cli', 'manifest.json'), 'utf8'));
  expect(manifest.artifacts.Attune.properties.stackName ?? manifest.artifacts.Attune.displayName).toContain(
    'Attune-test',
  );
});

test.each([
  [{ 'attune:rank': '99' }, 'rank: found "99", expected an integer from 1 to 64'],
  [{ attune: { embeddingDim: 4097 } }, 'embeddingDim: found 4097, expected an integer from 16 to 4096'],
  [{ attune: 'rank=8' }, 'attune: found "rank=8", expected an object of settings'],
  [{ rank: '8' }, 'rank: found without prefix, expected attune:rank'],
])('the app prints one line and exits with 2 for the context %j', (context, message) => {
  const run = runApp(context);
  expect([run.status, run.stdout, run.stderr]).toEqual([2, '', `attune: ${message}\n`]);
});

describe('the environment of every function', () => {
  test('contains the settings of the stack', () => {
    const settings = {
      embeddingDim: 128,
      embeddingModel: 'text-small, v2',
      rank: 8,
      scalingFactor: 0.5,
      learner: 'sgd',
      learningRate: 0.3,
      exploration: 0.1,
      episodeTtlDays: 7,
      transfer: 'off',
      holdout: 0.05,
    };
    const functions = Object.values(synthesizedTemplate(settings).findResources('AWS::Lambda::Function'));
    expect(functions).toHaveLength(3);
    for (const { Properties } of functions) {
      const { ATTUNE_BUCKET, ATTUNE_TABLE, ...variables } = Properties.Environment.Variables;
      expect(ATTUNE_BUCKET.Ref).toMatch(/^AdaptersBucket/);
      expect(ATTUNE_TABLE.Ref).toMatch(/^ReasoningBankTable/);
      expect(settingsFromEnvironment({ ...variables, ATTUNE_BUCKET: 'b', ATTUNE_TABLE: 't' })).toEqual({
        ...settings,
        bucket: 'b',
        table: 't',
      });
    }
  });
});

test('concurrency, schedule, table limits and stack name reach their resources', () => {
  const template = synthesizedTemplate({
    maxConcurrency: 7,
    consolidationSchedule: 'rate(10 minutes)',
    tableMaxReadUnits: 11,
    tableMaxWriteUnits: 12,
    stackName: 'Attune-test',
  });
  template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    ScalingConfig: { MaximumConcurrency: 7 },
  });
  template.hasResourceProperties('AWS::Scheduler::Schedule', { ScheduleExpression: 'rate(10 minutes)' });
  template.hasResourceProperties('AWS::DynamoDB::GlobalTable', {
    WriteOnDemandThroughputSettings: { MaxWriteRequestUnits: 12 },
    Replicas: [{ ReadOnDemandThroughputSettings: { MaxReadRequestUnits: 11 } }],
  });
  template.hasResourceProperties('AWS::SQS::Queue', { QueueName: 'Attune-test-feedback.fifo' });
});

test('the settings in cdk.json are valid', () => {
  const file = JSON.parse(readFileSync(join(project, 'cdk.json'), 'utf8'));
  expect(settingsFromContext(file.context.attune)).toMatchObject(file.context.attune);
});

test('each function bundle is one ES module without a source map and loads outside of the project folder', () => {
  const outdir = join(folder, 'bundled');
  const assembly = synthesize({ outdir, check: false });
  const resources: Record<string, { Type: string; Metadata: Record<string, string> }> =
    assembly.stacks[0]?.template.Resources;
  const functions = Object.values(resources).filter(({ Type }) => Type === 'AWS::Lambda::Function');
  expect(functions).toHaveLength(3);
  expect(readdirSync(join(outdir, 'source-maps'))).toEqual([
    'consolidate-patterns.mjs.map',
    'personalize.mjs.map',
    'update-adapters.mjs.map',
  ]);
  for (const [i, { Metadata }] of functions.entries()) {
    const alone = join(folder, `function-${i}`);
    cpSync(join(outdir, Metadata['aws:asset:path'] ?? ''), alone, { recursive: true });
    expect(readdirSync(alone)).toEqual(['index.mjs']);
    const script = `const { handler } = await import('${pathToFileURL(join(alone, 'index.mjs'))}');
      process.stdout.write(typeof handler); process.exit(0);`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: alone,
      encoding: 'utf8',
      env: {
        AWS_REGION: 'us-east-1',
        ATTUNE_BUCKET: 'b',
        ATTUNE_TABLE: 't',
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
      },
    });
    expect([run.stdout, run.stderr]).toEqual(['function', '']);
  }
});
