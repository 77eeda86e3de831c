/**
 * `node --import` this file: `attune/client` then means the source, as it means the package in an
 * application that installed it.
 */
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (name, context, next) =>
    next(
      name === 'attune/client' ? new URL('../../shared/client/index.ts', import.meta.url).href : name,
      context,
    ),
});
