import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { utf8 } from '../../../shared/utf8.ts';
import { ACCOUNT_ID } from '../environment.ts';
import { AccessDenied, type Authorize, accessKeyOf } from '../iam/permissions.ts';
import { closeServer, listen } from '../listen.ts';
import type { LocalFunction } from './function.ts';
import type { InvocationResult } from './protocol.ts';
import { readBody } from './request-body.ts';

/** A local Function URL. */
export interface FunctionUrl {
  /** Ends with `/`, as on AWS. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Starts a Function URL (payload format 2.0, buffered responses) on a free port of the loopback
 * interface.
 *
 * @param authType `AWS_IAM` refuses requests without a signature, but does not verify the signature
 */
export async function startFunctionUrl(
  target: LocalFunction,
  authType: 'AWS_IAM' | 'NONE',
  authorize: Authorize = () => {},
): Promise<FunctionUrl> {
  const server = createServer((request, response) => {
    request.on('error', () => {});
    respond(target, authType, authorize, request, response).catch((error: unknown) =>
      error instanceof AccessDenied
        ? answer(response, 403, 'Forbidden')
        : answer(response, 500, 'Internal Server Error'),
    );
  });
  const endpoint = await listen(server, 'function URL', 0);
  return { url: `${endpoint}/`, close: () => closeServer(server) };
}

async function respond(
  target: LocalFunction,
  authType: 'AWS_IAM' | 'NONE',
  authorize: Authorize,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  if (body === undefined) return answer(response, 413, 'Request Entity Too Large');
  const signed = request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') ?? false;
  if (authType === 'AWS_IAM' && !signed) return answer(response, 403, 'Forbidden');
  if (authType === 'AWS_IAM') {
    // AWS requires both since October 2025.
    for (const action of ['lambda:InvokeFunctionUrl', 'lambda:InvokeFunction']) {
      authorize({
        accessKeyId: accessKeyOf(request.headers.authorization),
        action,
        resource: target.configuration.arn,
        context: { 'lambda:FunctionUrlAuthType': authType, 'lambda:InvokedViaFunctionUrl': 'true' },
      });
    }
  }
  const requestId = randomUUID();
  const event = eventOf(request, body, requestId, authType);
  const result = await target.invoke(JSON.stringify(event), requestId);
  response.setHeader('x-amzn-requestid', requestId);
  if (result.failed) return answer(response, 502, 'Internal Server Error');
  deliver(response, result);
}

/** The event of a request in payload format 2.0. */
function eventOf(request: IncomingMessage, body: Buffer, requestId: string, authType: string): object {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const { cookie, ...otherHeaders } = request.headers;
  const headers = Object.fromEntries(
    Object.entries(otherHeaders).map(([name, value]) => [name, String(value)]),
  );
  const query = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    query.set(name, query.has(name) ? `${query.get(name)},${value}` : value);
  }
  const isText = /^(text\/|application\/(json|javascript|xml))/.test(headers['content-type'] ?? '');
  const text = isText ? utf8(body) : undefined;
  const now = new Date();
  const iam = {
    accessKey: 'local',
    accountId: ACCOUNT_ID,
    callerId: 'local',
    userArn: `arn:aws:iam::${ACCOUNT_ID}:root`,
  };
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    ...(cookie === undefined ? {} : { cookies: cookie.split('; ') }),
    headers,
    ...(query.size === 0 ? {} : { queryStringParameters: Object.fromEntries(query) }),
    requestContext: {
      accountId: authType === 'AWS_IAM' ? ACCOUNT_ID : 'anonymous',
      apiId: 'local',
      ...(authType === 'AWS_IAM' ? { authorizer: { iam } } : {}),
      domainName: headers.host ?? 'localhost',
      domainPrefix: 'local',
      http: {
        method: request.method,
        path: url.pathname,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
        userAgent: headers['user-agent'] ?? '',
      },
      requestId,
      routeKey: '$default',
      stage: '$default',
      time: now.toISOString(),
      timeEpoch: now.getTime(),
    },
    ...(body.length === 0 ? {} : { body: text ?? body.toString('base64') }),
    isBase64Encoded: body.length > 0 && text === undefined,
  };
}

/** Sends a result with a status code as the response, and any other result as a JSON body. */
function deliver(response: ServerResponse, result: InvocationResult): void {
  const value: unknown = JSON.parse(result.payload);
  const structured = typeof value === 'object' && value !== null && 'statusCode' in value;
  if (!structured) {
    response.writeHead(200, { 'content-type': 'application/json' }).end(result.payload);
    return;
  }
  const { statusCode, headers, cookies, body, isBase64Encoded } = value as {
    statusCode: number;
    headers?: Record<string, string | number | boolean>;
    cookies?: string[];
    body?: string;
    isBase64Encoded?: boolean;
  };
  response.setHeader('content-type', 'application/json');
  for (const [name, header] of Object.entries(headers ?? {})) response.setHeader(name, String(header));
  if (cookies !== undefined) response.setHeader('set-cookie', cookies);
  response.writeHead(statusCode).end(Buffer.from(body ?? '', isBase64Encoded === true ? 'base64' : 'utf8'));
}

function answer(response: ServerResponse, status: number, message: string): void {
  if (!response.headersSent) response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ Message: message }));
}
