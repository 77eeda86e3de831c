import { Command } from 'commander';
import type { Written } from '../shared/catalogue/catalogue-writer.ts';
import type { CatalogueItem } from '../shared/catalogue/item.ts';
import type { LearningSettings } from '../shared/config/settings.ts';
import { ConflictError, InvalidConfigurationError, InvalidInputError } from '../shared/errors.ts';
import type { Basis } from '../shared/lora/basis.ts';
import type { Objects } from '../shared/storage/objects.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { EXIT, ExitError, interruption } from './exit.ts';
import { readJsonLines } from './json-lines.ts';
import { createProgress, printJson, printLine, printProblem } from './output.ts';
import { learningSettings } from './stack-outputs.ts';

interface CatalogueOptions extends DeploymentOptions {
  readonly outputs: string;
  readonly seed: string;
  readonly rewrite?: boolean;
  readonly json?: boolean;
}

const LINES =
  'lines of {"itemId", "embedding", "attributes"?, "availableFrom"?, "availableUntil"?}, - is stdin; or a .safetensors file with the tensor embeddings and the metadata ids';

/** `attune catalogue`: the items that `attune recommend` chooses from. */
export function catalogueCommand(command: Command): Command {
  const sub = (name: string, description: string) =>
    withDeployment(new Command(name).description(description), 'bucket').option(
      '--json',
      'print the result as one line of JSON',
    );
  const put = sub('put', 'replace the whole catalogue; computes the basis from it if there is none')
    .argument('<items>', LINES)
    .option('--seed <text>', 'seed of the basis, if it is computed', '1')
    .option('--rewrite', 'write every shard, also existing ones, because they may be damaged')
    .action(putItems);
  const update = sub('update', 'add items, or replace those with the same id')
    .argument('<items>', LINES)
    .action(updateItems);
  const remove = sub('remove', 'remove items')
    .argument('<itemId...>', 'ids of the items')
    .action(removeItems);
  const stats = sub('stats', 'show the content of the catalogue').action(showStats);
  return [put, update, remove, stats].reduce((parent, child) => parent.addCommand(child), command);
}

async function putItems(file: string, options: CatalogueOptions): Promise<void> {
  const settings = await learningSettings(options.outputs);
  const signal = interruption();
  const items = await readItems(file, settings.embeddingDim, signal);
  await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const { basis, isNew } = await currentBasis(objects, settings, items, options.seed);
    const written = await writing(objects, settings, basis, items.length, (writer) => writer.put(items), {
      signal,
      rewrite: options.rewrite,
    });
    report(written, options, { basis: basis?.id ?? null });
    if (isNew && options.json !== true) printLine(`computed the basis ${basis?.id} from them`);
  });
}

async function updateItems(file: string, options: CatalogueOptions): Promise<void> {
  const settings = await learningSettings(options.outputs);
  const signal = interruption();
  const items = await readItems(file, settings.embeddingDim, signal);
  await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const { basis } = await currentBasis(objects, settings);
    const written = await writing(objects, settings, basis, items.length, (writer) => writer.update(items), {
      signal,
    });
    report(written, options);
  });
}

async function removeItems(itemIds: readonly string[], options: CatalogueOptions): Promise<void> {
  const settings = await learningSettings(options.outputs);
  await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const { basis } = await currentBasis(objects, settings);
    const written = await writing(objects, settings, basis, itemIds.length, (writer) =>
      writer.remove(itemIds),
    );
    report(written, options, { unknown: new Set(itemIds).size - written.removed });
  });
}

async function showStats(options: CatalogueOptions): Promise<void> {
  const settings = await learningSettings(options.outputs);
  const { CatalogueReader } = await import('../shared/catalogue/catalogue-reader.ts');
  await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const reader = new CatalogueReader(objects, settings);
    const manifest = await reader.manifest();
    if (manifest === undefined) {
      throw new InvalidConfigurationError(
        `found no catalogue of embeddings of ${settings.embeddingModel} with ${settings.embeddingDim} numbers, expected attune catalogue put first`,
      );
    }
    const { basis } = await currentBasis(objects, settings);
    const { featuresKey, FEATURES_PREFIX } = await import('../shared/catalogue/catalogue-keys.ts');
    const stored = new Set<string>();
    if (basis !== null)
      for await (const { key } of objects.list(`${FEATURES_PREFIX}${basis.id}/`)) stored.add(key);
    const { version, shards, embeddingDim, embeddingModel } = manifest;
    const withFeatures = shards.filter(
      ({ name }) => basis !== null && stored.has(featuresKey(name, basis.id)),
    );
    const stats = {
      version,
      items: shards.reduce((sum, { items }) => sum + items, 0),
      shards: shards.length,
      bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
      shardsWithFeatures: withFeatures.length,
      basis: basis?.id ?? null,
      embeddingDim,
      embeddingModel,
      updatedAt: new Date(manifest.updatedAt).toISOString(),
    };
    if (options.json) return printJson(stats);
    printLine(
      `${stats.items} items in ${stats.shards === 1 ? '1 shard' : `${stats.shards} shards`} of ${stats.bytes} bytes, version ${version} of ${stats.updatedAt}`,
    );
    printLine(
      basis === null
        ? 'no basis yet: items are ranked by their popularity'
        : `${stats.shardsWithFeatures} of ${stats.shards} shards have features under the basis ${basis.id}`,
    );
  });
}

function report(written: Written, { json }: CatalogueOptions, more: object = {}): void {
  if (json) {
    printJson({ ...written, ...more });
    return;
  }
  const { items, version, added, changed, removed } = written;
  printLine(`${items} items, version ${version}: ${added} added, ${changed} changed, ${removed} removed`);
}

/** Runs a change of the catalogue, with progress on stderr. */
async function writing(
  objects: Objects,
  settings: LearningSettings,
  basis: Basis | null,
  total: number,
  change: (
    writer: InstanceType<typeof import('../shared/catalogue/catalogue-writer.ts').CatalogueWriter>,
  ) => Promise<Written>,
  { signal, rewrite = false }: { signal?: AbortSignal; rewrite?: boolean | undefined } = {},
): Promise<Written> {
  const { CatalogueWriter } = await import('../shared/catalogue/catalogue-writer.ts');
  const progress = createProgress('writing', 'items');
  const onProgress = (items: number) => {
    // The commit comes last, so that Ctrl-C leaves the earlier version.
    if (signal?.aborted) throw new ExitError(EXIT.interrupted);
    progress.update(items, Math.max(total, items));
  };
  try {
    return await change(
      new CatalogueWriter(objects, settings, { basis, now: Date.now, rewrite, onProgress }),
    );
  } catch (error) {
    progress.stop();
    if (error instanceof ExitError)
      printProblem(
        'interrupted, so the catalogue is unchanged; the same command goes on with what it has written',
      );
    if (!(error instanceof ConflictError)) throw error;
    throw new ConflictError(
      'the catalogue was changed at the same time: nothing was changed, run the command again',
      {
        cause: error,
      },
    );
  } finally {
    progress.stop();
  }
}

/**
 * The current basis of the deployment.
 * @param items creates the basis from these when there is none
 */
async function currentBasis(
  objects: Objects,
  settings: LearningSettings,
  items: readonly CatalogueItem[] = [],
  seed = '',
): Promise<{ basis: Basis | null; isNew: boolean }> {
  const [{ basisFromEmbeddings, MAX_FEATURES, MAX_SAMPLE, sampleEvenly }, { basisFor, learningObjects }] =
    await Promise.all([import('../shared/lora/basis.ts'), import('../shared/population/shared-learning.ts')]);
  const stored = learningObjects(objects, settings).basis;
  const { embeddingDim, embeddingModel, rank, scalingFactor } = settings;
  const found = basisFor(await stored.refresh(), settings);
  if (found !== undefined) return { basis: found.basis, isNew: false };
  // A new basis would not fit adapters that learned under the damaged one.
  if (stored.damage !== undefined) {
    printProblem(`${stored.damage.message}; attune model rollback basis or attune basis build repairs it`);
    return { basis: null, isNew: false };
  }
  const sample = sampleEvenly(items, MAX_SAMPLE).map(({ embedding }) => Float32Array.from(embedding));
  const isPossible =
    rank * embeddingDim <= MAX_FEATURES && sample.some((x) => x.some((value) => value !== 0));
  if (!isPossible) return { basis: null, isNew: false };
  const basis = basisFromEmbeddings(sample, { rank, scalingFactor, seed });
  await stored.write({ basis, embeddingModel });
  return { basis, isNew: true };
}

interface Given {
  /** File and line, for errors. */
  readonly at: string;
  readonly value: unknown;
}

async function* linesOf(file: string, signal: AbortSignal): AsyncGenerator<Given> {
  for await (const { line, value, fault } of readJsonLines(file, signal)) {
    const at = `${file} line ${line}`;
    if (fault !== undefined) throw new InvalidInputError(at, fault.found, fault.expected);
    yield { at, value };
  }
}

async function* rowsOf(file: string, signal: AbortSignal): AsyncGenerator<Given> {
  const { readTensorItems } = await import('./tensor-items.ts');
  let row = 0;
  for await (const value of readTensorItems(file, signal)) yield { at: `${file} row ${row++}`, value };
}

async function readItems(file: string, embeddingDim: number, signal: AbortSignal): Promise<CatalogueItem[]> {
  const { parseItem } = await import('../shared/catalogue/item.ts');
  const progress = createProgress('reading', 'items');
  const items: CatalogueItem[] = [];
  try {
    for await (const { at, value } of file.endsWith('.safetensors')
      ? rowsOf(file, signal)
      : linesOf(file, signal)) {
      items.push(parseItem(value, embeddingDim, at));
      progress.update(items.length);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    progress.stop();
  }
  // After Ctrl-C only part of the file was read.
  if (signal.aborted) {
    printProblem('interrupted before anything was written, so the catalogue is unchanged');
    throw new ExitError(EXIT.interrupted);
  }
  if (items.length === 0) throw new InvalidInputError(file, 'no item', 'at least one');
  return items;
}
