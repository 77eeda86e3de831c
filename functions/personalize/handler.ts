import middy from '@middy/core';
import { InvalidInputError } from '../../shared/errors.ts';
import { createTelemetry } from '../../shared/runtime/telemetry.ts';
import { bodyOf, failure, isHttp, ok } from './http.ts';
import { personalize } from './personalize.ts';
import { parsePersonalizeRequest } from './request.ts';
import { createServices } from './services.ts';

const { logger } = createTelemetry();
const services = createServices(process.env);

const answer = async (payload: unknown) =>
  personalize(parsePersonalizeRequest(payload, services.settings), services);

/** Answers the Function URL with HTTP responses, and Invoke with the answer itself or a function error. */
export const handler = middy<unknown, unknown>().handler(async (payload) => {
  if (!isHttp(payload)) return answer(payload);
  try {
    return ok(await answer(bodyOf(payload)));
  } catch (error) {
    if (!(error instanceof InvalidInputError)) logger.error('personalize failed', { error });
    return failure(error);
  }
});
