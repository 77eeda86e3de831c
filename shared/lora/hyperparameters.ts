import { InvalidInputError, shown } from '../errors.ts';

/** A number that steers a learner, and the range in which it works. */
export interface Hyperparameter {
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** How far a hint may move a configured value, as a factor either way. */
export const HINT_FACTOR = 100;

/**
 * The values to learn with: the configured ones, moved by hints. A hint beyond a factor of {@link HINT_FACTOR} of the configured
 * value, or beyond the declared bounds, counts as the nearest value within; one that is no finite number, or that the learner
 * does not declare, is ignored.
 * @throws InvalidInputError when a configured value is not declared or out of bounds
 */
export function resolveHyperparameters(
  declared: Readonly<Record<string, Hyperparameter>>,
  configured: Readonly<Record<string, number>> = {},
  hints: Readonly<Record<string, number>> = {},
): Record<string, number> {
  for (const [name, value] of Object.entries(configured)) {
    if (!Object.hasOwn(declared, name)) {
      throw new InvalidInputError(
        name,
        'a hyperparameter that the learner does not have',
        Object.keys(declared).join(', '),
      );
    }
    const { minimum, maximum } = declared[name]!;
    if (!(value >= minimum && value <= maximum)) {
      throw new InvalidInputError(name, shown(value), `a number from ${minimum} to ${maximum}`);
    }
  }
  return Object.fromEntries(
    Object.entries(declared).map(([name, bounds]) => {
      const value = configured[name] ?? bounds.default;
      const hint = Object.hasOwn(hints, name) ? hints[name]! : value;
      if (!Number.isFinite(hint)) return [name, value];
      const lowest = Math.max(bounds.minimum, value / HINT_FACTOR);
      const highest = Math.min(bounds.maximum, value * HINT_FACTOR);
      return [name, Math.min(highest, Math.max(lowest, hint))];
    }),
  );
}
