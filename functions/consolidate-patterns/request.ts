import * as z from 'zod';
import { parseInput } from '../../shared/validation/faults.ts';
import type { ConsolidationRequest } from './consolidate.ts';

const request = z.object(
  {
    force: z.boolean({ error: 'true or false' }).default(false),
    settleSeconds: z
      .number({ error: 'a number from 0 to 3600' })
      .min(0, { error: 'a number from 0 to 3600' })
      .max(3600, { error: 'a number from 0 to 3600' })
      .default(10),
  },
  { error: 'an object' },
);

/**
 * Reads the payload of an invocation. Unknown fields are ignored, because a schedule sends its own.
 * @throws InvalidInputError
 */
export function parseConsolidationRequest(payload: unknown): ConsolidationRequest {
  return parseInput(request, payload ?? {});
}
