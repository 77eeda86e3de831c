import { spawn } from 'node:child_process';
import { InvalidConfigurationError, UnavailableError } from '../../shared/errors.ts';
import { APP, INSTALL_CDK, PROJECT } from '../project.ts';
import type { GivenSettings } from '../setting-options.ts';

/**
 * Synthesizes the stack with bundled functions, as `cdk synth` does, in a separate process, so that
 * this one stays responsive.
 * @param outdir folder for the cloud assembly
 * @param overrides settings that replace those of cdk.json
 * @throws InvalidConfigurationError, UnavailableError with the output of the CDK app
 */
export async function synthesizeAssembly(
  outdir: string,
  signal: AbortSignal,
  overrides: GivenSettings = {},
): Promise<void> {
  const context = Object.entries(overrides).map(([setting, value]) => [`attune:${setting}`, value]);
  const app = spawn(process.execPath, [APP], {
    cwd: PROJECT,
    env: {
      ...process.env,
      CDK_OUTDIR: outdir,
      // The CDK command line passes its -c options in the same way.
      CDK_CONTEXT_JSON: JSON.stringify(Object.fromEntries(context)),
      AWS_EC2_METADATA_DISABLED: 'true',
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      // Rules are for deployments; checking them takes seconds.
      CDK_VALIDATION: 'false',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  let printed = '';
  for (const stream of [app.stdout, app.stderr])
    stream.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    app.once('error', reject);
    app.once('close', resolve);
  });
  if (code === 0) return;
  if (code === 2) throw new InvalidConfigurationError(printed.trim().replace(/^attune: /, ''));
  const missing = /Cannot find package '(aws-cdk-lib|constructs)'/.exec(printed)?.[1];
  if (missing !== undefined)
    throw new InvalidConfigurationError(`found no package ${missing}, expected ${INSTALL_CDK}`);
  throw new UnavailableError(`the stack could not be synthesized: ${printed.trim()}`);
}
