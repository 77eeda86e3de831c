import { learningSettingsFrom, outputsIn, valuesOf } from '../shared/client/resources.ts';
import { OUTPUT } from '../shared/config/names.ts';
import type { LearningSettings } from '../shared/config/settings.ts';
import { InvalidConfigurationError, InvalidInputError } from '../shared/errors.ts';

type OutputName = (typeof OUTPUT)[keyof typeof OUTPUT];

/**
 * A resource of the stack, from an option or from the outputs of a deployment.
 * @param option name of the option, for the error when both are missing
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
 * One output of a deployed stack, from the file of `cdk deploy --outputs-file` (`{ "<stack>": {
 * "<output>": "<value>" } }`), or from the inner object alone.
 * @throws NotFoundError when there is no such file; InvalidInputError when it is not of that form,
 * or does not have exactly one such output
 */
export async function stackOutput(file: string, name: OutputName): Promise<string> {
  const found = valuesOf(outputsIn(file), name);
  if (found.length === 1) return found[0]!;
  throw new InvalidInputError(file, `${found.length} stacks with ${name}`, 'one');
}

/**
 * The learner's settings of a deployment, from its outputs.
 * @throws InvalidConfigurationError without outputs; InvalidInputError when they lack the settings,
 * and what {@link stackOutput} throws
 */
export async function learningSettings(outputs: string | undefined): Promise<LearningSettings> {
  if (outputs === undefined) {
    throw new InvalidConfigurationError('found no --outputs, expected the file of cdk deploy --outputs-file');
  }
  const text = await stackOutput(outputs, OUTPUT.learningSettings);
  return learningSettingsFrom(text, `${outputs}, ${OUTPUT.learningSettings}`);
}

/** Like {@link learningSettings}; undefined when the outputs of an older deployment lack them. */
export async function knownLearningSettings(outputs: string): Promise<LearningSettings | undefined> {
  const known = valuesOf(outputsIn(outputs), OUTPUT.learningSettings);
  return known.length === 0 ? undefined : learningSettings(outputs);
}
