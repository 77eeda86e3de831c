import { learningSettingsFrom, outputsIn, valuesOf } from '../shared/client/resources.ts';
import { OUTPUT } from '../shared/config/names.ts';
import type { LearningSettings } from '../shared/config/settings.ts';
import { InvalidConfigurationError, InvalidInputError } from '../shared/errors.ts';

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
  const found = valuesOf(await outputsIn(file), name);
  if (found.length === 1) return found[0]!;
  throw new InvalidInputError(file, `${found.length} stacks with ${name}`, 'one');
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
  return learningSettingsFrom(text, `${outputs}, ${OUTPUT.learningSettings}`);
}

/** Like {@link learningSettings}; undefined where an older deployment's outputs do not tell it. */
export async function knownLearningSettings(outputs: string): Promise<LearningSettings | undefined> {
  const known = valuesOf(await outputsIn(outputs), OUTPUT.learningSettings);
  return known.length === 0 ? undefined : learningSettings(outputs);
}
