import { InvalidInputError, shown } from '../errors.ts';

/** A setting of a learner, with its valid range. */
export interface Hyperparameter {
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
}

export const SGD_HYPERPARAMETERS = {
  /** Learning rate η of A and s·B. */
  learningRate: { default: 1, minimum: 1e-6, maximum: 10 },
  /**
   * Largest norm of the gradient of A and B together. Longer gradients are shortened to it
   * (Pascanu, Mikolov & Bengio 2013).
   */
  gradientClipThreshold: { default: 1, minimum: 1e-3, maximum: 100 },
  /** λ of elastic weight consolidation; 0 turns it off. */
  ewcLambda: { default: 0.5, minimum: 0, maximum: 1e6 },
} as const satisfies Record<string, Hyperparameter>;

/** Largest factor by which a hint may change a configured value, up or down. */
export const HINT_FACTOR = 100;

/**
 * The hyperparameters to learn with: the configured ones, changed by hints. A hint is limited to a
 * factor of {@link HINT_FACTOR} of the configured value and to the declared bounds. Hints that are
 * not finite or not declared by the learner are ignored.
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
