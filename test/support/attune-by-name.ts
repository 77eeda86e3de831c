/**
 * With `node --import` of this file, `attune/client` is the source, as it is the package in an
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
