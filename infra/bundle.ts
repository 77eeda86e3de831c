import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';
import { leaveOutUnused } from './bundle-plugin.ts';

/** The folders below functions/, each with a handler.ts that exports `handler`. */
export const FUNCTION_FOLDERS = ['update-adapters', 'consolidate-patterns', 'personalize'] as const;

export type FunctionFolder = (typeof FUNCTION_FOLDERS)[number];

const PROJECT = fileURLToPath(new URL('..', import.meta.url));

/**
 * How esbuild bundles a function. A bundled SDK starts faster than the runtime's copy, and it is
 * the version that the tests use. Names are kept, because Lambda logs the class of an error as its
 * type.
 */
export function bundleOptions(folder: FunctionFolder) {
  return {
    absWorkingDir: PROJECT,
    entryPoints: [join(PROJECT, 'functions', folder, 'handler.ts')],
    outfile: join(PROJECT, 'dist', 'bundles', folder, 'index.mjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    minify: true,
    legalComments: 'none',
    alias: { '@aws-sdk/credential-provider-node': join(PROJECT, 'infra', 'environment-credentials.ts') },
    keepNames: true,
    plugins: [leaveOutUnused],
    logLevel: 'error',
  } satisfies BuildOptions;
}

/**
 * Bundles a function into one ES module. The source map does not go into the bundle, because the
 * runtime would read it at every cold start.
 *
 * @param options.to folder that receives index.mjs
 * @param options.sourceMaps folder that receives `<folder>.mjs.map`
 */
export function bundleFunction(
  folder: FunctionFolder,
  { to, sourceMaps }: { readonly to: string; readonly sourceMaps: string },
): void {
  const script = join(PROJECT, 'infra', 'bundle-function.ts');
  execFileSync(process.execPath, [script, folder, to, sourceMaps], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}
