import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { POLICIES, WITHOUT_CALLS } from '../../cli/policies.ts';
import { policyOf } from '../../cli/policy.ts';
import { systemClock } from '../../infra/local/clock.ts';
import { type ApiCall, decide } from '../../infra/local/iam/policy.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { Quarantine } from '../../shared/feedback/quarantine.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { initialPopulationModel } from '../../shared/population/population-model.ts';
import { allowances, policyStatements, synthesizedTemplate } from '../infra/template.ts';
import { SETTINGS, startWholeStack } from '../stack/running-stack.ts';
import { runAttune } from '../support/run-attune.ts';

const random = createRandom('policies');
const items = Array.from({ length: 40 }, (_, i) => ({
  itemId: `item-${i}`,
  embedding: Array.from({ length: SETTINGS.embeddingDim }, () => random.normal()),
}));
const catalogue = lines(items);
const feedback = lines(items.slice(0, 5).map((item) => ({ userId: 'ada', ...item, reward: 1 })));

let running: Awaited<ReturnType<typeof startWholeStack>>;
let folder: string;
let outputs: string;
let calls: ApiCall[] = [];

beforeAll(async () => {
  // Shards that no manifest names are deleted when they are old, so all objects of this S3 look two
  // days old.
  const clock = { ...systemClock, now: () => Date.now() - 2 * 86_400_000 };
  running = await startWholeStack({}, { clock, recordCall: (call) => calls.push(call) });
  folder = mkdtempSync(join(tmpdir(), 'attune-policy-'));
  outputs = join(folder, 'outputs.json');
  writeFileSync(outputs, JSON.stringify({ Attune: running.stack.outputs }));
});
afterAll(async () => {
  await running?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function lines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}

/** A message of ada in every place where messages and episodes without effect wait. */
async function leaveTraces(n: number): Promise<void> {
  const { objects, adapters, sqs } = running;
  const { adapter } = (await adapters.load(userKey('ada')))!;
  await new PendingEpisodes(objects).put({ ...adapter.lastEpisode!, version: 90 + n, embeddings: [] });
  await new Quarantine(objects).put({
    messageId: `bad-${n}`,
    userKey: userKey('ada'),
    code: 'not-json',
    reason: '',
    messageGroupId: userKey('ada'),
    sentAt: n,
    quarantinedAt: n,
    body: 'x',
  });
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: running.output('deadLetterQueueUrl'),
      MessageBody: `letter ${n}`,
      MessageGroupId: userKey('ada'),
      MessageDeduplicationId: String(n),
    }),
  );
}

async function failARun(): Promise<void> {
  const QueueUrl = running.output('consolidationFailuresUrl');
  await running.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: '{}' }));
}

/** Versions of the basis or the skills. */
const versionsOf = (part: string) => Array.fromAsync(running.objects.versionsUnder(`${part}/`));
const newestOf = async (part: string) => (await versionsOf(part))[0]!;
const oldestOf = async (part: string) => (await versionsOf(part)).at(-1)!;

interface Run {
  readonly args: readonly string[];
  readonly input?: string;
  readonly code?: number;
  readonly before?: () => unknown;
}

const traces = (n: number) => ({ before: () => leaveTraces(n) });
const missing = { code: 2 };

/** Every command in use, in an order in which each finds its data. */
const RUNS: Readonly<Record<string, readonly Run[]>> = {
  'catalogue put': [
    { args: ['-'], input: catalogue },
    { args: ['-'], input: lines(items.slice(0, 30)) },
  ],
  'catalogue update': [{ args: ['-'], input: lines(items.slice(30)) }],
  'catalogue remove': [{ args: ['item-39'] }],
  'catalogue stats': [{ args: [] }],
  'basis build': [{ args: ['-', '--force'], input: lines(items.slice(0, 20)) }],
  publish: [{ args: ['-'], input: feedback }],
  personalize: [{ args: ['-', '--user', 'ada'], input: catalogue, before: () => running.stack.idle() }],
  recommend: [{ args: ['--user', 'ada'] }],
  consolidate: [{ args: [] }],
  inspect: [{ args: ['ada'] }, { args: ['nobody'], ...missing }],
  history: [{ args: ['ada'] }],
  rollback: [
    {
      args: ['ada', '--to', '1'],
      before: async () => {
        await runAttune(['publish', '-', '--outputs', outputs], {
          env: running.stack.environment,
          input: feedback.replaceAll('"reward":1', '"reward":0'),
        });
        await running.stack.idle();
      },
    },
    { args: ['nobody', '--to', '1'], ...missing },
    {
      args: ['eve', '--to', '0'],
      before: () =>
        running.objects.put(`adapters/${userKey('eve')}`, new Uint8Array(8), { ifNoneMatch: true }),
    },
  ],
  uplift: [{ args: [] }],
  doctor: [{ args: [] }],
  export: [
    { args: ['ada', '--to', 'export'], ...traces(1) },
    { args: ['ada', '--to', 'peft', '--format', 'peft'] },
    { args: ['nobody', '--to', 'peft', '--format', 'peft'], ...missing },
  ],
  backup: [{ args: ['--to', 'backup'] }],
  restore: [
    { args: ['--from', 'backup', '--replace'] },
    // The table may have items of a user without an adapter; the last run restores it.
    { args: ['--from-table', ''], before: () => running.objects.delete(`adapters/${userKey('ada')}`) },
    {
      args: ['--deleted-since', '2020-01-01'],
      async before() {
        // Consolidation leaves out the episodes of the last seconds, so it may have found nothing.
        const { population } = running.learning;
        if ((await population.refresh()) === undefined)
          await population.write({ ...initialPopulationModel(null), version: 1 });
        await running.objects.delete((await newestOf('skills')).key);
      },
    },
  ],
  'dlq list': [{ args: [] }, { args: ['--json', '--from', 'consolidation'], before: failARun }],
  'dlq show': [{ args: ['bad-1'] }, { args: ['nothing'], ...missing }],
  'dlq redrive': [{ args: ['--user', 'nobody'] }, { args: ['--all'] }],
  'dlq purge': [
    { args: ['--user', 'nobody'], ...traces(2) },
    { args: ['--all'] },
    { args: ['--all', '--from', 'consolidation'] },
  ],
  forget: [
    { args: ['nobody', '--settle', '0'], ...missing, ...traces(3) },
    { args: ['ada', '--settle', '0'] },
  ],
  'model history': [{ args: ['basis'] }, { args: ['skills'] }],
  'model show': [{ args: ['basis'] }, { args: ['skills'] }],
  'model rollback': [
    { args: ['basis', '--to', '', '--force'] },
    {
      args: ['skills', '--to', ''],
      before: async () => running.objects.delete((await newestOf('skills')).key),
    },
  ],
};

test('every command has a policy, or makes no calls', async () => {
  const { stdout } = await runAttune(['--help']);
  const named = [...stdout.matchAll(/^ {2}([a-z]+)(?: |$)/gm)].map(([, name]) => name!);
  const commands = named.slice(named.indexOf('local')).filter((name) => name !== 'help');
  expect(commands.length).toBeGreaterThan(10);
  const known = new Set([...Object.keys(POLICIES).map((name) => name.split(' ')[0]), ...WITHOUT_CALLS]);
  expect(commands.filter((name) => !known.has(name))).toEqual([]);
  expect(Object.keys(RUNS).sort()).toEqual(Object.keys(POLICIES).sort());
});

test.each(Object.keys(RUNS))('attune %s runs with exactly its policy, and needs all of it', async (name) => {
  const command = name.split(' ');
  const operator = `operator-${command.join('-')}`;
  running.stack.permissions.permit(operator, await policyOf(name, outputs));
  calls = [];
  for (const { args, input = '', code = 0, before } of RUNS[name]!) {
    await before?.();
    const at = args.indexOf('--to') + 1;
    const place = async () => {
      if (['export', 'backup'].includes(name)) return args.with(at, join(folder, args[at]!));
      if (args[0] === '--from') return args.with(1, join(folder, args[1]!));
      if (args[0] === '--from-table') return args.with(1, running.output('tableName'));
      return name === 'model rollback' ? args.with(at, (await oldestOf(args[0]!)).versionId) : args;
    };
    const placed = await place();
    const ended = await runAttune([...command, ...placed, '--outputs', outputs], {
      env: { ...running.stack.environment, AWS_ACCESS_KEY_ID: operator },
      input,
    });
    expect(ended).toMatchObject({
      code,
      stderr: code === 0 ? '' : expect.not.stringContaining('AccessDenied'),
    });
  }
  const mine = calls.filter(({ principal }) => principal === operator);
  const statements = running.stack.permissions.statementsOf(operator);
  const pairs = statements.flatMap((statement) =>
    statement.Action.flatMap((action) =>
      statement.Resource.map((resource) => ({ ...statement, Action: [action], Resource: [resource] })),
    ),
  );
  const unused = pairs.filter((pair) => !mine.some((call) => decide([pair], call) === 'allowed'));
  expect(unused.map(({ Action, Resource }) => `${Action} ${Resource}`)).toEqual([]);
});

test('attune policy prints it, with the names of the resources', async () => {
  const { code, stdout, stderr } = await runAttune(['policy', 'dlq', 'redrive', '--outputs', outputs], {
    env: running.stack.environment,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual(await policyOf('dlq redrive', outputs));
});

test('attune policy without outputs names the resources by their outputs', async () => {
  const { stdout } = await runAttune(['policy', 'uplift']);
  expect(JSON.parse(stdout)).toEqual({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Action: ['dynamodb:Query'],
        Resource: ['arn:aws:dynamodb:<region>:<account>:table/<TableName>/index/by-cell'],
      },
    ],
  });
  expect(await runAttune(['policy', 'dlq'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^attune: command: found dlq, expected one of publish, .*dlq list/),
  });
});

/** What the role of a function or of the schedule may, by resource. */
function rightsOfRoles(): string[] {
  const template = synthesizedTemplate();
  return Object.entries(ROLES).map(([logicalId, name]) => {
    const byResource = Map.groupBy(
      allowances(policyStatements(template, logicalId)).map((each) => each.split(' ')),
      ([, resource]) => resource,
    );
    const rights = [...byResource].map(
      ([resource, pairs]) => `${pairs.map(([action]) => `\`${action}\``).join(', ')} on \`${resource}\``,
    );
    return `| ${name} | ${rights.join('<br>')} |`;
  });
}
const ROLES = {
  UpdateAdaptersRole: 'update-adapters',
  ConsolidatePatternsFunctionRole: 'consolidate-patterns',
  ConsolidatePatternsSchedulerRole: 'the schedule of consolidation',
  PersonalizeRole: 'personalize',
} as const;

test('docs/permissions.md lists the policies', async () => {
  const rows = Object.entries(POLICIES).map(([command, grants]) => {
    const rights = grants.map(
      ({ actions, on }) =>
        `${actions.map((each) => `\`${each}\``).join(', ')} on ${on.map((each) => `\`${each}\``).join(', ')}`,
    );
    return `| \`attune ${command}\` | ${rights.join('<br>')} |`;
  });
  const page = `# Permissions

This page lists all permissions. [security.md](security.md) says what they protect.

## Commands

\`attune policy <command> --outputs outputs.json\` prints the permissions of a command
as an IAM policy with the names of a deployment. Tests run every command with exactly these
permissions and generate this page from the same list. With \`encryptionKey\`, every command also needs
\`kms:Decrypt\` and \`kms:GenerateDataKey\` on the key.

| command | rights |
| --- | --- |
${rows.join('\n')}

## Applications

| application | rights | grant of the construct |
| --- | --- | --- |
| publishes | \`sqs:SendMessage\` on \`feedbackQueue\` | \`grantPublish\` |
| asks | \`lambda:InvokeFunction\` on \`personalize\`; for its URL also \`lambda:InvokeFunctionUrl\` | \`grantPersonalize\` |

With \`encryptionKey\`, an application that publishes also needs \`kms:GenerateDataKey\` and \`kms:Decrypt\`
on the key; \`grantPublish\` includes them.

## Functions

The roles of the template with default settings. \`test/stack/permissions.test.ts\` compares every
right with the calls that need it.

| role | rights |
| --- | --- |
${rightsOfRoles().join('\n')}
`;
  await expect(page).toMatchFileSnapshot('../../docs/permissions.md');
});
