import { readFile } from 'node:fs/promises';
import { OUTPUT } from '../shared/config/names.ts';
import { type LearningSettings, learningSettingsOf, settingsFromContext } from '../shared/config/settings.ts';
import { InvalidConfigurationError, InvalidInputError, NotFoundError, shown } from '../shared/errors.ts';

type OutputName = (typeof OUTPUT)[keyof typeof OUTPUT];

/**
 * A resource of the stack: named by an option, or taken from the outputs of a deployment.
 * @param option the option that names it, for the error when there is neither
 * @throws InvalidConfigurationError, and what {@link stackOutput} throws
 */
export async function resourceName(
  given: string | undefined,
  outputs: string | undefined,
  name: OutputName,
  option: string,
): Promise<string> {
  if (given !== undefined) return given;
  if (outputs !== undefined) return stackOutput(outputs, name);
  throw new InvalidConfigurationError(`found neither ${option} nor --outputs, expected one of them`);
}

/**
 * One output of a deployed stack, from the file that `cdk deploy --outputs-file` writes
 * (`{ "<stack>": { "<output>": "<value>" } }`), or from the inner object alone.
 * @throws NotFoundError when there is no such file; InvalidInputError when it is not that, or has not exactly one such output
 */
export async function stackOutput(file: string, name: OutputName): Promise<string> {
  const found = await outputsNamed(file, name);
  if (found.length === 1) return found[0]!;
  throw new InvalidInputError(file, `${found.length} stacks with ${name}`, 'one');
}

/** The region in the URL of a queue; undefined for that of a local stack. */
export function regionOfQueue(url: string): string | undefined {
  return /^https?:\/\/sqs\.([a-z0-9-]+)\./.exec(url)?.[1];
}

/** The values of an output in all stacks of the file. */
async function outputsNamed(file: string, name: OutputName): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new NotFoundError(`${file}: cannot be read; expected the file of cdk deploy --outputs-file`, {
      cause,
    });
  }
  let outputs: unknown;
  try {
    outputs = JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(file, shown(text), 'JSON', { cause });
  }
  return [outputs, ...Object.values(isObject(outputs) ? outputs : {})]
    .map((stack) => (isObject(stack) ? stack[name] : undefined))
    .filter((value) => typeof value === 'string');
}

/**
 * What the learner of a deployment is told, from its outputs.
 * @throws InvalidConfigurationError without outputs; InvalidInputError when they do not tell it, and what {@link stackOutput} throws
 */
export async function learningSettings(outputs: string | undefined): Promise<LearningSettings> {
  if (outputs === undefined) {
    throw new InvalidConfigurationError('found no --outputs, expected the file of cdk deploy --outputs-file');
  }
  const text = await stackOutput(outputs, OUTPUT.learningSettings);
  try {
    return learningSettingsOf(settingsFromContext(JSON.parse(text)));
  } catch (cause) {
    throw new InvalidInputError(`${outputs}, ${OUTPUT.learningSettings}`, text, 'settings of a deployment', {
      cause,
    });
  }
}

/** Like {@link learningSettings}; undefined where an older deployment's outputs do not tell it. */
export async function knownLearningSettings(outputs: string): Promise<LearningSettings | undefined> {
  const known = await outputsNamed(outputs, OUTPUT.learningSettings);
  return known.length === 0 ? undefined : learningSettings(outputs);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
