/**
 * The errors that Attune throws on purpose. Every message says what was found and what was
 * expected.
 *
 * A *permanent* error fails again on every retry (bad input, a corrupt object); a *retryable* one
 * may succeed next time (throttling, timeouts, a lost race).
 */
export type ErrorCode =
  | 'invalid-input'
  | 'invalid-configuration'
  | 'corrupt-object'
  | 'conflict'
  | 'not-found'
  | 'unavailable';

export abstract class AttuneError extends Error {
  abstract readonly code: ErrorCode;
  /** Whether a retry can succeed. */
  abstract readonly retryable: boolean;
}

/** Input that breaks a documented limit. `field` is a path such as `interactions[3].embedding`. */
export class InvalidInputError extends AttuneError {
  override readonly name = 'InvalidInputError';
  readonly code = 'invalid-input';
  readonly retryable = false;
  readonly field: string;
  readonly found: string;
  readonly expected: string;

  /**
   * @param field path of the field; empty for the whole input
   * @param found the value, already shortened for display
   * @param expected what is accepted
   */
  constructor(field: string, found: string, expected: string, options?: ErrorOptions) {
    super(`${field === '' ? 'input' : field}: found ${found}, expected ${expected}`, options);
    this.field = field;
    this.found = found;
    this.expected = expected;
  }
}

/**
 * Settings or environment variables that are missing or out of range. The message names all of
 * them.
 */
export class InvalidConfigurationError extends AttuneError {
  override readonly name = 'InvalidConfigurationError';
  readonly code = 'invalid-configuration';
  readonly retryable = false;
}

/** A stored object with bytes that Attune did not write. `key` names the object. */
export class CorruptObjectError extends AttuneError {
  override readonly name = 'CorruptObjectError';
  readonly code = 'corrupt-object';
  readonly retryable = false;
  readonly key: string;

  constructor(key: string, reason: string, options?: ErrorOptions) {
    super(`${key}: ${reason}`, options);
    this.key = key;
  }
}

/** Another writer was first: reload, recompute, write again. */
export class ConflictError extends AttuneError {
  override readonly name = 'ConflictError';
  readonly code = 'conflict';
  readonly retryable = true;
}

/** The requested thing does not exist. */
export class NotFoundError extends AttuneError {
  override readonly name = 'NotFoundError';
  readonly code = 'not-found';
  readonly retryable = false;
}

/** A service did not answer, throttled, or failed. */
export class UnavailableError extends AttuneError {
  override readonly name = 'UnavailableError';
  readonly code = 'unavailable';
  readonly retryable = true;
}

/** A value for an error message: its JSON, cut to 80 characters. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = undefined;
  }
  text ??= typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
