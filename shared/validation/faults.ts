import type * as z from 'zod';
import { CorruptObjectError, InvalidConfigurationError, InvalidInputError, shown } from '../errors.ts';

/** One fault of an input. */
export interface Fault {
  /** Path of the field, such as `interactions[3].reward`; empty for the whole input. */
  readonly field: string;
  readonly found: string;
  readonly expected: string;
  /** The value at the path. */
  readonly value: unknown;
  readonly issue: z.core.$ZodIssue;
}

/**
 * Translates the first issue of a failed parse. All error messages about input come from here and
 * `parseConfiguration`.
 * @param input the value that was parsed
 * @param prefix path of that value; empty when it is the whole input
 */
export function firstFault(error: z.core.$ZodError, input: unknown, prefix = ''): Fault {
  return faultsOf(error.issues[0]!, input, prefix)[0]!;
}

/** @throws InvalidInputError for the first fault */
export function parseInput<T>(schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const { field, found, expected } = firstFault(parsed.error, input);
  throw new InvalidInputError(field, found, expected);
}

/**
 * @param key names the object in the error
 * @throws CorruptObjectError for the first fault
 */
export function parseStored<T>(schema: z.ZodType<T>, content: unknown, key: string): T {
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  throw new CorruptObjectError(key, textOf(firstFault(parsed.error, content)), { cause: parsed.error });
}

interface ConfigurationNames {
  /** Names the file or the resource in the error. Default: none. */
  readonly source?: string;
  /** What is expected instead of an unknown field. Default: only known fields. */
  readonly known?: string;
  /** Name of a field in the error, such as its environment variable. Default: its path. */
  readonly nameOf?: (field: string) => string;
}

/** @throws InvalidConfigurationError with every fault */
export function parseConfiguration<T>(
  schema: z.ZodType<T>,
  content: unknown,
  { source, known = ONLY_KNOWN, nameOf = (field) => field }: ConfigurationNames,
): T {
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues
    .flatMap((issue) => faultsOf(issue, content, ''))
    .map((fault) =>
      textOf({
        field: fault.field === '' ? '' : nameOf(fault.field),
        found: fault.found,
        expected: fault.issue.code === 'unrecognized_keys' ? known : fault.expected,
      }),
    );
  throw new InvalidConfigurationError(`${source === undefined ? '' : `${source}: `}${faults.join('; ')}`);
}

const ONLY_KNOWN = 'only known fields';

function textOf({ field, found, expected }: Pick<Fault, 'field' | 'found' | 'expected'>): string {
  return `${field === '' ? '' : `${field}: `}found ${found}, expected ${expected}`;
}

/**
 * The path of a field: `fieldAt('interactions[3]', ['target', 0])` is `interactions[3].target[0]`.
 */
export function fieldAt(prefix: string, path: readonly PropertyKey[]): string {
  let field = prefix;
  for (const key of path) {
    if (typeof key === 'number') field += `[${key}]`;
    else field += field === '' ? String(key) : `.${String(key)}`;
  }
  return field;
}

/** The value at a path; undefined where the path leads nowhere. */
export function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function faultsOf(issue: z.core.$ZodIssue, input: unknown, prefix: string): Fault[] {
  const field = fieldAt(prefix, issue.path);
  const value = valueAt(input, issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field,
      found: `the unknown field ${shown(key)}`,
      expected: ONLY_KNOWN,
      value,
      issue,
    }));
  }
  const countsItems = Array.isArray(value) && issue.code !== 'invalid_type';
  const found = countsItems ? `${value.length} items` : shown(value);
  return [{ field, found, expected: expectedBy(issue), value, issue }];
}

/**
 * The expectation of a schema. If the schema has no message of its own, Zod's message also says
 * what was found.
 */
function expectedBy(issue: z.core.$ZodIssue): string {
  const { message } = issue;
  const [, expected] = /^(?:Invalid|Too) [^:]*: expected (.*?)(?:, received [^,]*)?$/.exec(message) ?? [];
  const [, pattern] = /^Invalid string: must match pattern (.*)$/.exec(message) ?? [];
  if (pattern !== undefined) return `text that matches ${pattern}`;
  return (
    expected ?? (issue.code === 'invalid_union' && message === 'Invalid input' ? 'a supported form' : message)
  );
}
