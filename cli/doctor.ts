import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { onDeployment } from './deployment.ts';
import type { CheckResult } from './doctor/check.ts';
import { EXIT, ExitError } from './exit.ts';
import { printJson, printLine } from './output.ts';
import { learningSettings, stackOutput } from './stack-outputs.ts';

interface DoctorOptions {
  readonly outputs: string;
  readonly roundTrip: boolean;
  readonly json?: boolean;
}

/** `attune doctor`: checks whether a deployment works, and advises what to do when it does not. */
export function doctorCommand(command: Command): Command {
  return command
    .requiredOption('--outputs <file>', 'the file of cdk deploy --outputs-file')
    .option('--no-round-trip', 'only read: publish no event and ask for nothing')
    .option('--json', 'print the results as one line of JSON')
    .action(doctor);
}

async function doctor({ outputs, roundTrip, json }: DoctorOptions): Promise<void> {
  const settings = await learningSettings(outputs);
  const [{ checkAccess, checkDeployment }, { lambdaClient }] = await Promise.all([
    import('./doctor/checks.ts'),
    import('../shared/config/clients/lambda.ts'),
  ]);
  const lambda = lambdaClient();
  try {
    const results = await onDeployment({ outputs }, async (deployment) => {
      const services = {
        deployment,
        lambda,
        settings,
        output: (name: Parameters<typeof stackOutput>[1]) => stackOutput(outputs, name),
        pace: { now: () => performance.now(), wait: (ms: number) => delay(ms) },
      };
      const access = await checkAccess(services);
      if (hasFailed(access)) return access;
      return [...access, ...(await checkDeployment(services, { roundTrip }))];
    });
    if (json) printJson(results);
    else results.forEach(show);
    if (hasFailed(results)) throw new ExitError(EXIT.failed);
  } finally {
    lambda.destroy();
  }
}

function hasFailed(results: readonly CheckResult[]): boolean {
  return results.some(({ status }) => status === 'failed');
}

function show({ check, status, found, advice }: CheckResult): void {
  printLine(`${status.padEnd(8)} ${check.padEnd(12)} ${found}`);
  if (advice !== undefined) printLine(`${' '.repeat(22)}→ ${advice}`);
}
