import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { bundleOptions, type FunctionFolder } from './bundle.ts';

/**
 * A process of its own for `bundleFunction`, because plugins of esbuild are asynchronous and the
 * bundling of CDK is not.
 */
const [folder = '', to = '', sourceMaps = ''] = process.argv.slice(2);
const { outputFiles } = await build({
  ...bundleOptions(folder as FunctionFolder),
  sourcemap: 'external',
  sourcesContent: false,
  write: false,
});
await mkdir(to, { recursive: true });
await mkdir(sourceMaps, { recursive: true });
for (const { path, contents } of outputFiles) {
  await writeFile(
    path.endsWith('.map') ? join(sourceMaps, `${folder}.mjs.map`) : join(to, basename(path)),
    contents,
  );
}
