import * as z from 'zod';
import { InvalidInputError, shown } from '../../shared/errors.ts';
import type { ConsolidationRequest } from './consolidate.ts';

const request = z.object({
  force: z.boolean({ error: 'true or false' }).default(false),
  settleSeconds: z
    .number({ error: 'a number from 0 to 3600' })
    .min(0, { error: 'a number from 0 to 3600' })
    .max(3600, { error: 'a number from 0 to 3600' })
    .default(10),
});

/**
 * Reads the payload of an invocation. Unknown fields are ignored, because a schedule sends its own.
 * @throws InvalidInputError
 */
export function parseConsolidationRequest(payload: unknown): ConsolidationRequest {
  const parsed = request.safeParse(payload ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = String(issue.path[0] ?? '');
  const found = field === '' ? payload : (payload as Record<string, unknown>)[field];
  throw new InvalidInputError(field, shown(found), issue.message);
}
