import { join } from 'node:path';
import { bundleFunction, FUNCTION_FOLDERS } from './bundle.ts';

/** Bundles all functions into dist/, for the npm package. */
const dist = join(import.meta.dirname, '..', 'dist');
for (const folder of FUNCTION_FOLDERS) {
  bundleFunction(folder, { to: join(dist, 'bundles', folder), sourceMaps: join(dist, 'source-maps') });
}
