import * as z from 'zod';

/**
 * Refuses an array by its length before any element is checked. Zod checks all elements first; for
 * a body of a million small ones that takes seconds and more memory than a function has.
 * @param error the expectation, such as `1 to 500 candidates`
 * @param params of the issue
 */
export function lengthFirst<T extends z.ZodType>(
  schema: T,
  {
    min = 0,
    max,
    error,
    params,
  }: { min?: number; max: number; error: string; params?: Record<string, unknown> },
) {
  return z.preprocess((value, context) => {
    if (!Array.isArray(value) || (value.length >= min && value.length <= max)) return value;
    context.addIssue({ code: 'custom', message: error, ...(params === undefined ? {} : { params }) });
    return z.NEVER;
  }, schema);
}
