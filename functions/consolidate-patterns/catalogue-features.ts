import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { CorruptObjectError } from '../../shared/errors.ts';
import { basisFor } from '../../shared/population/shared-learning.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import type { ConsolidationServices } from './consolidate.ts';

/**
 * Stores missing features of the catalogue under the current basis, for example after a run that
 * learned a new basis. Readers compute missing features themselves. If the time runs out, the next
 * run stores the rest.
 * @returns the number of shards whose features were stored
 * @throws UnavailableError
 */
export async function storeCatalogueFeatures(
  {
    learning,
    settings,
    objects,
    now,
    onCorrupt,
  }: Pick<ConsolidationServices, 'learning' | 'settings' | 'now' | 'onCorrupt'> & {
    readonly objects: Objects;
  },
  hasTime: () => boolean,
): Promise<number> {
  const basis = basisFor(await learning.basis.refresh(), settings)?.basis;
  if (basis === undefined) return 0;
  try {
    return await new CatalogueWriter(objects, settings, { basis, now }).storeFeatures(basis, hasTime);
  } catch (error) {
    if (!(error instanceof CorruptObjectError)) throw error;
    onCorrupt(error);
    return 0;
  }
}
