import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AccessDenied, type Authorize, accessKeyOf } from '../iam/permissions.ts';
import { closeServer, listen } from '../listen.ts';
import type { AsyncEvents } from './async-events.ts';
import type { LocalFunction } from './function.ts';
import { PAYLOAD_LIMIT_BYTES, readBody } from './request-body.ts';

/** The local Invoke API of Lambda. */
export interface LambdaEndpoint {
  readonly endpoint: string;
  close(): Promise<void>;
}

const INVOKE_PATH = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/**
 * Starts the Invoke API on the loopback interface.
 * @param functions by name
 * @throws InvalidConfigurationError when the port is in use
 */
export async function startLambdaEndpoint(
  functions: ReadonlyMap<string, LocalFunction>,
  asyncEvents: AsyncEvents,
  port: number,
  authorize: Authorize = () => {},
): Promise<LambdaEndpoint> {
  const server = createServer((request, response) => {
    request.on('error', () => {});
    invoke(functions, asyncEvents, authorize, request, response).catch((error: unknown) => {
      if (error instanceof AccessDenied) fail(response, 403, 'AccessDeniedException', error.message);
      else fail(response, 500, 'ServiceException', String(error));
    });
  });
  const endpoint = await listen(server, 'lambda', port);
  return { endpoint, close: () => closeServer(server) };
}

async function invoke(
  functions: ReadonlyMap<string, LocalFunction>,
  asyncEvents: AsyncEvents,
  authorize: Authorize,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const reference = INVOKE_PATH.exec(pathname)?.[1];
  if (request.method !== 'POST' || reference === undefined) {
    return fail(
      response,
      501,
      'NotImplemented',
      `${request.method} ${pathname}: the local Lambda supports only Invoke`,
    );
  }
  const name = functionName(decodeURIComponent(reference));
  const target = functions.get(name);
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
  const payload = body.length === 0 ? '{}' : body.toString('utf8');
  if (!isJson(payload)) {
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

/**
 * Invoke accepts a name, an ARN or a partial ARN, each with an optional version or alias suffix.
 */
function functionName(reference: string): string {
  return reference.replace(/^.*function:/, '').split(':')[0] ?? '';
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
