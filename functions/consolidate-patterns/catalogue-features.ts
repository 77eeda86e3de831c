import { CatalogueWriter } from '../../shared/catalogue/catalogue-writer.ts';
import { CorruptObjectError } from '../../shared/errors.ts';
import { basisFor } from '../../shared/population/shared-learning.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import type { ConsolidationServices } from './consolidate.ts';

/**
 * Stores the features of the catalogue under the basis in force where they are missing, as after a run that learned a new basis.
 * Until then readers compute them, and what time does not allow is left to the next run.
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
  mayGoOn: () => boolean,
): Promise<number> {
  const basis = basisFor(await learning.basis.refresh(), settings)?.basis;
  if (basis === undefined) return 0;
  try {
    return await new CatalogueWriter(objects, settings, { basis, now }).storeFeatures(basis, mayGoOn);
  } catch (error) {
    if (!(error instanceof CorruptObjectError)) throw error;
    onCorrupt(error);
    return 0;
  }
}
