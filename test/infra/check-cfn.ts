/**
 * `npm run check:cfn`: cfn-lint finds nothing in the templates of several settings. It is a Python
 * program (`pip install cfn-lint`, 1.58 or later, because earlier ones do not know the tags of
 * dashboards). CFN_LINT names it where it is not on the path.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printLine, printProblem } from '../../cli/output.ts';
import { synthesize } from '../../infra/synth.ts';

const CFN_LINT = process.env.CFN_LINT ?? 'cfn-lint';
/** CDK writes dependencies on roles that the references to these roles imply. */
const IGNORED = 'W3005';
/** Synthesis warns of alarms that nobody hears. */
const NOTIFIED = { alarmEmail: 'operators@example.org' };
const CASES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'default settings': {},
  'a budget': { monthlyBudget: 5 },
  'removal with the stack': { removalPolicy: 'destroy' },
  'the learner sgd': { learner: 'sgd', exploration: 0.1 },
  'without monitoring and URL': { alarms: false, dashboard: false, url: false },
};

const version = spawnSync(CFN_LINT, ['--version'], { encoding: 'utf8' });
if (version.error !== undefined) {
  printLine(`skipped: found no ${CFN_LINT}, expected it after pip install cfn-lint`);
} else {
  printLine(version.stdout.trim());
  for (const [name, settings] of Object.entries(CASES)) lint(name, settings);
}

function lint(name: string, settings: Readonly<Record<string, unknown>>): void {
  const outdir = mkdtempSync(join(tmpdir(), 'attune-lint-'));
  try {
    synthesize({ outdir, settings: { ...NOTIFIED, ...settings }, bundle: false, check: false });
    const args = ['--ignore-checks', IGNORED, '--', join(outdir, 'Attune.template.json')];
    const { status, stdout, stderr } = spawnSync(CFN_LINT, args, { encoding: 'utf8' });
    if (status === 0) printLine(`ok: ${name}`);
    else {
      printProblem(`${name}:\n${stdout}${stderr}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
