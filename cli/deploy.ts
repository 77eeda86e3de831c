import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { InvalidConfigurationError } from '../shared/errors.ts';
import { ExitError } from './exit.ts';
import { APP, INSTALL_CDK, PROJECT } from './project.ts';

interface DeployOptions {
  readonly outputs: string;
}

/** `attune deploy`: `cdk deploy` of the stack, with its outputs in a file. */
export function deployCommand(command: Command): Command {
  return command
    .option('--outputs <file>', 'the file that the other commands read', 'outputs.json')
    .argument('[arguments...]', 'for cdk deploy, behind --, such as -- --profile production')
    .action(deploy);
}

async function deploy(forwarded: readonly string[], { outputs }: DeployOptions): Promise<void> {
  const app = `node "${APP}"`;
  const options = ['deploy', '--app', app, '--outputs-file', outputs, ...forwarded];
  const child = spawn(process.execPath, [cdkCommand(), ...options], { cwd: PROJECT, stdio: 'inherit' });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (ended) => resolve(ended ?? 1));
  });
  if (code !== 0) throw new ExitError(code);
}

/** @throws InvalidConfigurationError when the project has no CDK command line */
function cdkCommand(): string {
  try {
    const found = createRequire(join(PROJECT, 'package.json')).resolve('aws-cdk/package.json');
    return join(dirname(found), 'bin', 'cdk');
  } catch (cause) {
    throw new InvalidConfigurationError(`found no CDK command line, expected ${INSTALL_CDK}`, { cause });
  }
}
