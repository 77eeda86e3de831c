import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundleOptions } from '../../infra/bundle.ts';
import { readAssembly } from '../../infra/local/assembly.ts';
import type { Template } from '../../infra/local/template.ts';
import { synthesize } from '../../infra/synth.ts';
import { VARIABLE } from '../../shared/config/names.ts';
import { settingsFromContext } from '../../shared/config/settings.ts';
import { type Safeguard, sabotage } from './safeguards.ts';

/** Small, so that time goes into faults and not into arithmetic. */
export const CHAOS_SETTINGS = settingsFromContext({ embeddingDim: 16, embeddingModel: 'chaos', rank: 2 });

/**
 * Timeout of the function in seconds, and a shorter visibility timeout: messages come again while
 * the function still works on them.
 */
const SHORT = { timeout: 3, visibility: 2, maxReceives: 1_000 };

/** Largest error of the clocks of function instances, in milliseconds, in either direction. */
export const CLOCK_SKEW_MS = 2_000;

const SKEW = `{const off=(Math.random()*2-1)*${CLOCK_SKEW_MS},clock=Date.now;Date.now=()=>Math.round(clock()+off);}\n`;

/**
 * Synthesizes the stack as deployed, including bundles, but with short timeouts and wrong clocks.
 * @param options.without a safeguard to remove from the bundle of update-adapters
 * @param options.skewed whether clocks are wrong; default true
 */
export async function synthesizeChaos(
  dir: string,
  { without, skewed = true }: { without?: Safeguard | undefined; skewed?: boolean } = {},
): Promise<void> {
  const { embeddingDim, embeddingModel, rank } = CHAOS_SETTINGS;
  synthesize({ check: false, outdir: dir, settings: { embeddingDim, embeddingModel, rank } });
  const assembly = await readAssembly(dir);
  const { template } = assembly;
  const update = shorten(template);
  await writeFile(join(dir, 'Attune.template.json'), JSON.stringify(template));
  const bundle = join(assembly.assetFolder(update), 'index.mjs');
  if (without !== undefined) await bundleWithout(without, bundle);
  if (skewed) await writeFile(bundle, SKEW + (await readFile(bundle, 'utf8')));
}

/** @returns the asset of the update function */
function shorten(template: Template): string {
  let asset: string | undefined;
  for (const { Type, Properties = {} } of Object.values(template.Resources)) {
    const properties = Properties as Record<string, unknown>;
    if (Type === 'AWS::SQS::Queue' && properties.RedrivePolicy !== undefined) {
      properties.VisibilityTimeout = SHORT.visibility;
      Object.assign(properties.RedrivePolicy as object, { maxReceiveCount: SHORT.maxReceives });
    }
    if (Type !== 'AWS::Lambda::Function') continue;
    if (properties.Description !== 'applies feedback events to adapters') continue;
    properties.Timeout = SHORT.timeout;
    const { Variables } = properties.Environment as { Variables: Record<string, string> };
    Variables[VARIABLE.longestRetrySeconds] = String(SHORT.visibility);
    asset = (properties.Code as { S3Key: string }).S3Key;
  }
  if (asset === undefined) throw new Error('the template has no function that applies feedback');
  return asset;
}

async function bundleWithout(safeguard: Safeguard, outfile: string): Promise<void> {
  const options = bundleOptions('update-adapters');
  await build({ ...options, outfile, plugins: [...options.plugins, sabotage(safeguard)] });
}
