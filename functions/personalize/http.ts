import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { ExplainedError } from '../../shared/contract/answers.ts';
import { PERSONALIZE_LIMITS } from '../../shared/contract/personalize-request.ts';
import { AttuneError, InvalidInputError, shown } from '../../shared/errors.ts';
import { utf8 } from '../../shared/utf8.ts';

/** Whether an invocation came through the Function URL rather than Invoke. */
export function isHttp(payload: unknown): payload is APIGatewayProxyEventV2 {
  return (
    typeof payload === 'object' &&
    payload !== null &&
    'requestContext' in payload &&
    typeof Object(payload.requestContext).http === 'object'
  );
}

/** @throws InvalidInputError when the body is missing, too large, or not JSON */
export function bodyOf({ body, isBase64Encoded, requestContext }: APIGatewayProxyEventV2): unknown {
  const method = requestContext.http?.method;
  if (method !== 'POST') throw new InvalidInputError('method', method ?? shown(method), 'POST');
  const text = isBase64Encoded ? utf8(Buffer.from(body ?? '', 'base64')) : (body ?? '');
  if (text === undefined) throw new InvalidInputError('', 'a body that is not UTF-8', 'UTF-8');
  if (Buffer.byteLength(text) > PERSONALIZE_LIMITS.bodyBytes) {
    throw new InvalidInputError(
      '',
      `${Buffer.byteLength(text)} bytes`,
      `at most ${PERSONALIZE_LIMITS.bodyBytes} bytes`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError('', 'a body that is not JSON', 'JSON', { cause });
  }
}

export function ok(answer: unknown): APIGatewayProxyStructuredResultV2 {
  return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) };
}

export function explain({ code, field, found, expected, message }: InvalidInputError): ExplainedError {
  return { code, field, found, expected, message };
}

/** Explains invalid requests; names only the kind of our own errors. */
export function failure(error: unknown): APIGatewayProxyStructuredResultV2 {
  const [statusCode, document] =
    error instanceof InvalidInputError
      ? [400, explain(error)]
      : error instanceof AttuneError && error.retryable
        ? [503, { code: error.code, message: 'try again' }]
        : [500, { code: 'internal', message: 'internal error' }];
  return {
    statusCode,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ error: document }),
  };
}
