import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type DeploymentSettings, settingsFromContext } from '../../shared/config/settings.ts';
import { InvalidConfigurationError, UnavailableError } from '../../shared/errors.ts';

const PROJECT = new URL('../../', import.meta.url);

/** Settings that replace those of cdk.json. */
export type SettingOverrides = Partial<Pick<DeploymentSettings, 'transfer'>>;

/**
 * The settings of cdk.json, which the local stack has in common with the deployed one.
 * @throws InvalidConfigurationError
 */
export function projectSettings(overrides: SettingOverrides = {}): DeploymentSettings {
  const { context } = JSON.parse(readFileSync(new URL('cdk.json', PROJECT), 'utf8')) as {
    context: { attune?: Record<string, unknown> };
  };
  return settingsFromContext({ ...context.attune, ...overrides });
}

/**
 * Synthesizes the stack, functions bundled, as `cdk synth` does; in a process of its own, so that this one stays responsive.
 * @param outdir folder for the cloud assembly
 * @throws InvalidConfigurationError, UnavailableError with what the CDK app printed
 */
export async function synthesizeAssembly(
  outdir: string,
  signal: AbortSignal,
  overrides: SettingOverrides = {},
): Promise<void> {
  const context = Object.entries(overrides).map(([setting, value]) => [`attune:${setting}`, value]);
  const app = spawn(process.execPath, ['infra/app.ts'], {
    cwd: fileURLToPath(PROJECT),
    env: {
      ...process.env,
      CDK_OUTDIR: outdir,
      // As the CDK command line hands on its -c options.
      CDK_CONTEXT_JSON: JSON.stringify(Object.fromEntries(context)),
      AWS_EC2_METADATA_DISABLED: 'true',
      CDK_DISABLE_CLI_TELEMETRY: 'true',
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
  throw new UnavailableError(`the stack could not be synthesized: ${printed.trim()}`);
}
