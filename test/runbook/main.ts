/**
 * Follows every article of docs/runbook.md once: starts the stack, causes the fault so that the
 * alarm goes off, runs the article's commands, and checks that the alarm has ended. Prints a
 * transcript; ends with exit code 1 when a step did not work. `npm run runbook [article …]`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandsOf } from './articles.ts';
import { DrillStack, synthesizeOnce } from './drill-stack.ts';
import { DRILLS, type Drill } from './drills.ts';

const page = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
const say = (line: string) => process.stdout.write(`${line}\n`);

/** @returns differences from the article */
async function play(
  assembly: string,
  { article, alarm = article, fault, ...drill }: Drill,
): Promise<string[]> {
  say(`\n## ${article}\n  fault: ${fault}`);
  const stack = await DrillStack.start(assembly, say, drill.start);
  try {
    await drill.inject(stack);
    const { shown, condition, breaches } = await stack.state(alarm);
    say(`  alarm ${alarm}: ${shown}; goes off at ${condition}`);
    if (!breaches) return ['the alarm does not go off'];
    await drill.follow(stack);
    const after = await stack.state(alarm);
    say(`  afterwards: ${after.shown}`);
    const left = commandsOf(page, article).filter((command) => !stack.ran.has(command));
    return [
      ...(after.breaches ? ['the alarm does not end'] : []),
      ...left.map((command) => `the article names attune ${command}, which the drill did not run`),
    ];
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  } finally {
    await stack.stop();
  }
}

const wanted = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'attune-runbook-'));
const assembly = join(folder, 'assembly');
let failures = 0;
try {
  synthesizeOnce(assembly);
  const drills = DRILLS.filter(({ article }) => wanted.length === 0 || wanted.includes(article));
  for (const drill of drills) {
    const wrong = await play(assembly, drill);
    for (const what of wrong) say(`  WRONG: ${what}`);
    failures += wrong.length === 0 ? 0 : 1;
  }
  say(`\n${drills.length} articles followed, ${failures} with something wrong`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
