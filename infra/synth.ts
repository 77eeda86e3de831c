import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { App, Validations } from 'aws-cdk-lib';
import type { CloudAssembly } from 'aws-cdk-lib/cx-api';
import { SETTINGS } from '../shared/config/settings.ts';
import { InvalidConfigurationError, shown } from '../shared/errors.ts';
import { AttuneStack } from './attune-stack.ts';

/**
 * The context key `attune` holds all settings; `attune:<setting>` (as in `-c attune:rank=8`)
 * overrides one.
 */
const CONTEXT = 'attune';

/**
 * The CDK CLI sets these too. They add the construct path and the asset folder to each resource's
 * metadata.
 */
const CLI_CONTEXT = { 'aws:cdk:enable-path-metadata': true, 'aws:cdk:enable-asset-metadata': true };

export interface SynthesisOptions {
  /** Settings that override those of cdk.json. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /**
   * Folder of the cloud assembly; default: the CDK CLI's output folder, else a temporary folder.
   */
  readonly outdir?: string;
  /**
   * Whether to bundle the functions; without bundles the template cannot be deployed. Default true.
   */
  readonly bundle?: boolean;
  /**
   * Whether to check the rules of cdk-nag and of CloudFormation, which takes longer than all else.
   * Default: unless `cdk synth --no-validation`, or its variable CDK_VALIDATION=false, says no.
   */
  readonly check?: boolean;
}

/**
 * Synthesizes the stack in this process. Settings come from cdk.json and, under the CDK CLI, from
 * its `-c` options.
 * @throws InvalidConfigurationError naming every setting that is unknown or out of range
 * @throws Error when the template breaks a rule of cdk-nag or of CloudFormation
 */
export function synthesize({
  settings = {},
  outdir,
  bundle = true,
  check = process.env.CDK_VALIDATION !== 'false',
}: SynthesisOptions = {}): CloudAssembly {
  const app = new App({
    ...(outdir !== undefined && { outdir }),
    autoSynth: false,
    analyticsReporting: false,
    builtinCloudFormationValidation: check,
    context: { ...projectContext(), ...CLI_CONTEXT, ...(!bundle && { 'aws:cdk:bundling-stacks': [] }) },
  });
  new AttuneStack(app, 'Attune', { settings: { ...settingsOf(app), ...settings } });
  if (check) checkRules(app);
  return app.synth();
}

const IS_CLONE = import.meta.url.endsWith('.ts');

/**
 * The context of cdk.json, so that its feature flags also apply without the CDK CLI. The installed
 * package has its own flags; it reads the settings from the cdk.json of the current folder.
 */
function projectContext(): Record<string, unknown> {
  const own = contextOf(new URL(IS_CLONE ? '../cdk.json' : '../../cdk.json', import.meta.url));
  if (IS_CLONE) return own;
  const { [CONTEXT]: _, ...flags } = own;
  return existsSync('cdk.json') ? { ...flags, ...contextOf('cdk.json') } : flags;
}

function contextOf(file: URL | string): Record<string, unknown> {
  const { context = {} }: { context?: Record<string, unknown> } = JSON.parse(readFileSync(file, 'utf8'));
  return context;
}

/** Checks the rules of cdk-nag. The installed package leaves this check to its user. */
function checkRules(app: App): void {
  let rules: typeof import('cdk-nag');
  try {
    rules = createRequire(import.meta.url)('cdk-nag');
  } catch (error) {
    if (IS_CLONE) throw error;
    return;
  }
  Validations.of(app).addPlugins(new rules.AwsSolutionsChecks(app), new rules.ServerlessChecks(app));
}

function settingsOf(app: App): Record<string, unknown> {
  const context: Record<string, unknown> = app.node.getAllContext();
  const whole = context[CONTEXT] ?? {};
  if (typeof whole !== 'object' || Array.isArray(whole)) {
    throw new InvalidConfigurationError(`${CONTEXT}: found ${shown(whole)}, expected an object of settings`);
  }
  const bare = SETTINGS.filter((setting) => setting in context);
  if (bare.length > 0) {
    throw new InvalidConfigurationError(
      bare.map((setting) => `${setting}: found without prefix, expected ${CONTEXT}:${setting}`).join('; '),
    );
  }
  const prefix = `${CONTEXT}:`;
  const overrides = Object.entries(context).filter(([key]) => key.startsWith(prefix));
  return {
    ...whole,
    ...Object.fromEntries(overrides.map(([key, value]) => [key.slice(prefix.length), value])),
  };
}
