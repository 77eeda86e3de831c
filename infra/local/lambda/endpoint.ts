import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { utf8 } from '../../../shared/utf8.ts';
import { AccessDenied, type Authorize, accessKeyOf } from '../iam/permissions.ts';
import { closeServer, listen } from '../listen.ts';
import type { AsyncEvents } from './async-events.ts';
import { answerRead, functionName, type LambdaState } from './reads.ts';
import { PAYLOAD_LIMIT_BYTES, readBody } from './request-body.ts';

/** The local API of Lambda: Invoke, and the reads of `attune doctor`. */
export interface LambdaEndpoint {
  readonly endpoint: string;
  close(): Promise<void>;
}

const INVOKE_PATH = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/**
 * Starts the API on the loopback interface.
 * @throws InvalidConfigurationError when the port is in use
 */
export async function startLambdaEndpoint(
  state: LambdaState,
  asyncEvents: AsyncEvents,
  port: number,
  authorize: Authorize = () => {},
): Promise<LambdaEndpoint> {
  const server = createServer((request, response) => {
    request.on('error', () => {});
    respond(state, asyncEvents, authorize, request, response).catch((error: unknown) => {
      if (error instanceof AccessDenied) fail(response, 403, 'AccessDeniedException', error.message);
      else fail(response, 500, 'ServiceException', String(error));
    });
  });
  const endpoint = await listen(server, 'lambda', port);
  return { endpoint, close: () => closeServer(server) };
}

async function respond(
  state: LambdaState,
  asyncEvents: AsyncEvents,
  authorize: Authorize,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const read = answerRead(request, state, authorize);
  if (read === 'no-function') return fail(response, 404, 'ResourceNotFoundException', 'Function not found');
  if (read !== undefined) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(read));
    return;
  }
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const reference = INVOKE_PATH.exec(pathname)?.[1];
  if (request.method !== 'POST' || reference === undefined) {
    return fail(
      response,
      501,
      'NotImplemented',
      `${request.method} ${pathname}: the local Lambda supports only Invoke and three reads`,
    );
  }
  const name = functionName(decodeURIComponent(reference));
  const target = state.functions.get(name);
  if (target === undefined)
    return fail(response, 404, 'ResourceNotFoundException', `Function not found: ${name}`);

  authorize({
    accessKeyId: accessKeyOf(request.headers.authorization),
    action: 'lambda:InvokeFunction',
    resource: target.configuration.arn,
  });
  const body = await readBody(request);
  if (body === undefined) {
    const message = `Request must be smaller than ${PAYLOAD_LIMIT_BYTES} bytes for the InvokeFunction operation`;
    return fail(response, 413, 'RequestTooLargeException', message);
  }
  const payload = body.length === 0 ? '{}' : utf8(body);
  if (payload === undefined || !isJson(payload)) {
    return fail(response, 400, 'InvalidRequestContentException', 'Could not parse request body into json');
  }
  const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
  if (type === 'DryRun') {
    response.writeHead(204).end();
  } else if (type === 'Event') {
    response.writeHead(202, { 'x-amzn-requestid': asyncEvents.accept(target, payload) }).end();
  } else if (type === 'RequestResponse') {
    const result = await target.invoke(payload);
    response.writeHead(200, {
      'content-type': 'application/json',
      'x-amzn-requestid': result.requestId,
      'x-amz-executed-version': '$LATEST',
      ...(result.failed ? { 'x-amz-function-error': 'Unhandled' } : {}),
    });
    response.end(result.payload);
  } else {
    fail(response, 400, 'InvalidParameterValueException', `Unknown invocation type: ${type}`);
  }
}

function fail(response: ServerResponse, status: number, type: string, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type });
  response.end(JSON.stringify({ Type: status < 500 ? 'User' : 'Service', Message: message, message }));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
