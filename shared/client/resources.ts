import { readFileSync } from 'node:fs';
import { OUTPUT } from '../config/names.ts';
import { type LearningSettings, learningSettingsOf, settingsFromContext } from '../config/settings.ts';
import { InvalidConfigurationError, InvalidInputError, NotFoundError, shown } from '../errors.ts';

/**
 * The resources of a deployment, by name or URL. Each method of the client needs only those that it
 * uses.
 */
export type Resources = { readonly [resource in keyof typeof OUTPUT]?: string | undefined };

/**
 * The outputs of a stack, as `cdk deploy --outputs-file` writes them, or of one stack alone; or the
 * path of that file.
 */
export type Outputs = string | Readonly<Record<string, unknown>>;

/**
 * The content of a file of `cdk deploy --outputs-file`.
 * @throws NotFoundError when there is no such file; InvalidInputError when it is not JSON
 */
export function outputsIn(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new NotFoundError(
      `${file}: found no readable file, expected the file of cdk deploy --outputs-file`,
      {
        cause,
      },
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(file, shown(text), 'JSON', { cause });
  }
}

/** The values of an output in all stacks of a document. */
export function valuesOf(document: unknown, output: string): string[] {
  return [document, ...Object.values(isObject(document) ? document : {})]
    .map((stack) => (isObject(stack) ? stack[output] : undefined))
    .filter((value) => typeof value === 'string');
}

/**
 * @returns undefined when no stack of the document has the output
 * @throws InvalidConfigurationError when two stacks have it
 */
export function resourceIn(document: unknown, resource: keyof Resources): string | undefined {
  const found = valuesOf(document, OUTPUT[resource]);
  if (found.length <= 1) return found[0];
  throw new InvalidConfigurationError(
    `outputs: found ${found.length} stacks with ${OUTPUT[resource]}, expected one`,
  );
}

/**
 * The embedding length in the output LearningSettings, also when it has settings of a later
 * version; undefined when the document does not tell.
 */
export function embeddingDimIn(document: unknown): number | undefined {
  const [text, ...others] = valuesOf(document, OUTPUT.learningSettings);
  if (text === undefined || others.length > 0) return undefined;
  let settings: unknown;
  try {
    settings = JSON.parse(text);
  } catch {
    return undefined;
  }
  const embeddingDim = isObject(settings) ? settings.embeddingDim : undefined;
  return Number.isInteger(embeddingDim) ? (embeddingDim as number) : undefined;
}

/**
 * The settings in the output LearningSettings.
 * @param source origin of the text, for the error
 * @throws InvalidInputError
 */
export function learningSettingsFrom(text: string, source: string): LearningSettings {
  try {
    return learningSettingsOf(settingsFromContext(JSON.parse(text)));
  } catch (cause) {
    throw new InvalidInputError(source, text, 'settings of a deployment', { cause });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The region in the URL of a queue; undefined for that of a local stack. */
export function regionOfQueue(url: string): string | undefined {
  return /^https?:\/\/sqs\.([a-z0-9-]+)\./.exec(url)?.[1];
}
