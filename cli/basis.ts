import { Command } from 'commander';
import {
  ConflictError,
  CorruptObjectError,
  InvalidConfigurationError,
  InvalidInputError,
} from '../shared/errors.ts';
import { decodeEmbedding, type EmbeddingInput } from '../shared/feedback/embedding-codec.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { interruption } from './exit.ts';
import { readJsonLines } from './json-lines.ts';
import { createProgress, printJson, printLine, printProblem } from './output.ts';
import { learningSettings } from './stack-outputs.ts';

interface BuildOptions extends DeploymentOptions {
  readonly outputs: string;
  readonly seed: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** `attune basis`: the directions that the adapters of a deployment share. */
export function basisCommand(command: Command): Command {
  const build = withDeployment(
    new Command('build')
      .description(
        'compute the basis from a catalogue and store it, best before the first feedback; adapters are carried over from the previous basis',
      )
      .argument('<items.jsonl>', 'lines of {"embedding"}, one per item, other fields are ignored; - is stdin')
      .option('--seed <text>', 'seed of the randomized eigenvectors', '1')
      .option('--force', 'replace the current basis even if the new one covers little of it')
      .option('--json', 'print the result as one line of JSON')
      .action(buildBasis),
    'bucket',
  );
  return command.addCommand(build);
}

async function buildBasis(file: string, options: BuildOptions): Promise<void> {
  const settings = await learningSettings(options.outputs);
  const [
    { basisFromEmbeddings, sharedDirections },
    { carryOversTo },
    { basisFor, learningObjects },
    { CatalogueWriter },
  ] = await Promise.all([
    import('../shared/lora/basis.ts'),
    import('../shared/lora/carry-over.ts'),
    import('../shared/population/shared-learning.ts'),
    import('../shared/catalogue/catalogue-writer.ts'),
  ]);
  const embeddings = await readEmbeddings(file, settings.embeddingDim);
  const { rank, scalingFactor, embeddingModel } = settings;
  const basis = basisFromEmbeddings(embeddings, { rank, scalingFactor, seed: options.seed });
  const replaced = await onDeployment(options, async (deployment) => {
    const { objects } = await deployment.bucket();
    const stored = learningObjects(objects, settings).basis;
    // Adapters of other settings start anew, so their basis is not carried over.
    const current = basisFor(await stored.refresh(), settings);
    const { damage } = stored;
    if (damage !== undefined) {
      printProblem(`${damage.message}; it is replaced`);
      if (current?.basis.id !== basis.id)
        printProblem(
          'adapters that were learned under the damaged basis start anew, unless this is the same basis',
        );
    }
    if (current?.basis.id === basis.id) {
      if (damage !== undefined) await unlessChanged(() => stored.write(current));
      return undefined;
    }
    if (current !== undefined && options.force !== true) {
      refuseLoss(1 - sharedDirections(current.basis, basis), current.basis.id, embeddings.length);
    }
    const carryOvers = carryOversTo(basis, current, embeddings);
    await unlessChanged(() => stored.write({ basis, embeddingModel, carryOvers }));
    try {
      await new CatalogueWriter(objects, settings, { basis, now: Date.now }).storeFeatures(basis);
    } catch (error) {
      // The basis is stored; readers compute missing features.
      if (!(error instanceof CorruptObjectError)) throw error;
      printProblem(`${error.message}; attune catalogue put --rewrite replaces it`);
    }
    return carryOvers[0];
  });
  if (options.json) {
    const { fromBasisId = null, loss = null } = replaced ?? {};
    return printJson({
      basis: basis.id,
      items: embeddings.length,
      replaces: fromBasisId,
      carryOverLoss: loss,
      ...settings,
    });
  }
  printLine(
    `basis ${basis.id} from ${embeddings.length} items, rank ${rank}, ${basis.projectionDim} coefficients per user`,
  );
  if (replaced !== undefined) {
    const { fromBasisId, loss } = replaced;
    const seen = ((1 - loss) * 100).toFixed(1);
    printLine(
      `replaces ${fromBasisId}; adapters are carried over; the earlier basis covers ${seen} % of the new one`,
    );
  }
}

/** Largest share of the current basis that a new one may miss without `--force`. */
const MOST_MISSED = 0.5;

/** @throws InvalidInputError when the new basis misses too many directions of the current one */
function refuseLoss(missed: number, currentId: string, items: number): void {
  if (missed <= MOST_MISSED) return;
  throw new InvalidInputError(
    'items',
    `${items} items, whose basis misses ${(missed * 100).toFixed(0)} % of the directions of basis ${currentId}`,
    'a catalogue like the one before, or --force',
  );
}

async function unlessChanged(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw new InvalidConfigurationError(
      'another basis was stored at the same time: nothing was changed, run the command again',
      { cause: error },
    );
  }
}

async function readEmbeddings(file: string, embeddingDim: number): Promise<Float32Array[]> {
  const signal = interruption();
  const progress = createProgress('reading', 'items');
  const embeddings: Float32Array[] = [];
  try {
    for await (const { line, value, fault } of readJsonLines(file, signal)) {
      const at = `${file} line ${line}`;
      if (fault !== undefined) throw new InvalidInputError(at, fault.found, fault.expected);
      const { embedding } = value as { embedding?: EmbeddingInput };
      if (typeof embedding !== 'string' && !Array.isArray(embedding)) {
        throw new InvalidInputError(
          `${at}, embedding`,
          typeof embedding,
          'base64 of little-endian float32, or numbers',
        );
      }
      embeddings.push(decodeEmbedding(embedding, embeddingDim, `${at}, embedding`));
      progress.update(embeddings.length);
    }
  } finally {
    progress.stop();
  }
  signal.throwIfAborted();
  return embeddings;
}
