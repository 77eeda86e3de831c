import { readFile } from 'node:fs/promises';
import { OUTPUT } from '../config/names.ts';
import { InvalidConfigurationError, InvalidInputError, NotFoundError, shown } from '../errors.ts';

/** The resources of a deployment that the client uses. */
export interface Resources {
  readonly feedbackQueueUrl?: string | undefined;
  readonly personalizeFunctionName?: string | undefined;
}

/**
 * The outputs of a stack, as `cdk deploy --outputs-file` writes them, or of one stack alone; or the
 * path of that file.
 */
export type Outputs = string | Readonly<Record<string, unknown>>;

/**
 * The resources in the outputs of a deployment.
 * @throws NotFoundError when there is no such file; InvalidInputError when it is not a JSON object
 * @throws InvalidConfigurationError when two stacks have the same resource
 */
export async function resourcesOf(outputs: Outputs): Promise<Resources> {
  const document = typeof outputs === 'string' ? await documentIn(outputs) : outputs;
  const only = (name: string): string | undefined => {
    const found = [document, ...Object.values(document)]
      .map((stack) => (isObject(stack) ? stack[name] : undefined))
      .filter((value) => typeof value === 'string');
    if (found.length > 1)
      throw new InvalidConfigurationError(`outputs: found ${found.length} stacks with ${name}, expected one`);
    return found[0];
  };
  return {
    feedbackQueueUrl: only(OUTPUT.feedbackQueueUrl),
    personalizeFunctionName: only(OUTPUT.personalizeFunctionName),
  };
}

async function documentIn(file: string): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new NotFoundError(`outputs: found no file ${file}, expected that of cdk deploy --outputs-file`, {
      cause,
    });
  }
  try {
    const document: unknown = JSON.parse(text);
    if (isObject(document)) return document;
  } catch {
    // Said below.
  }
  throw new InvalidInputError('outputs', shown(text), 'a JSON object');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
