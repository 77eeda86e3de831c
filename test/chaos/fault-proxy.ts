import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { closeServer, listen } from '../../infra/local/listen.ts';
import type { RequestFault } from './faults.ts';

export type Service = 's3' | 'dynamodb' | 'sqs';

/** A request to a service. */
export interface SeenRequest {
  /** Such as `PUT adapters/`, `GET basis/` or `PutItem`. */
  readonly operation: string;
  /** Key of the object; empty for the other services. */
  readonly key: string;
  /** `X-Amzn-Trace-Id`. */
  readonly traceId: string;
  /** The SDK's name for a call with all its attempts. */
  readonly callId: string;
}

export interface FaultProxyOptions {
  readonly service: Service;
  /** Endpoint of the service. */
  readonly target: string;
  /** Takes every request, in order. */
  readonly record: (seen: SeenRequest) => void;
  readonly decide: (seen: SeenRequest) => RequestFault | undefined;
  /** Kills the source of the request, such as a function instance. */
  readonly kill: (traceId: string) => void;
  /** Whether the service is unreachable as a whole. */
  readonly down?: () => boolean;
  /** Delay of a slow request; default 300. */
  readonly slowMs?: number;
}

/** Attempts of a call that get the same fault; the SDK makes three. */
const STUBBORN_TRIES = 3;

/** An HTTP proxy that makes requests fail in the ways of a network and a service. */
export async function startFaultProxy(options: FaultProxyOptions) {
  const agent = new Agent({ keepAlive: true });
  let refusals = 0;
  const stubborn = new Map<string, { fault: RequestFault; tries: number }>();

  const faultOf = (seen: SeenRequest): RequestFault | undefined => {
    const again = stubborn.get(seen.callId);
    if (again !== undefined && again.tries-- > 0) return again.fault;
    const fault = options.decide(seen);
    // Every second refusal outlasts the SDK's own attempts and reaches the function.
    const refused = fault === 'throttled' || fault === 'server-error' || fault === 'connection-reset';
    if (refused && ++refusals % 2 === 0) stubborn.set(seen.callId, { fault, tries: STUBBORN_TRIES });
    return fault;
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const seen = describe(incoming, options.service);
    const body = await bytesOf(incoming);
    options.record(seen);
    if (options.down?.()) return refuse(response, options.service, 'server-error');
    const fault = faultOf(seen);
    switch (fault) {
      case 'throttled':
      case 'server-error':
      case 'conflict':
      case 'write-under-way':
        return refuse(response, options.service, fault);
      case 'timeout':
        return;
      case 'connection-reset':
        response.destroy();
        return;
      case 'kill-before':
        options.kill(seen.traceId);
        return;
      case 'slow':
        await delay(options.slowMs ?? 300);
        break;
    }
    const answer = await forward(agent, options.target, incoming, body);
    if (fault === 'response-lost') {
      response.destroy();
      return;
    }
    if (fault === 'kill-after') {
      options.kill(seen.traceId);
      return;
    }
    response.writeHead(answer.status, answer.headers);
    response.end(incoming.method === 'HEAD' ? undefined : answer.body);
  };

  const server = createServer((incoming, response) => {
    response.on('error', () => {});
    serve(incoming, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 120_000;
  const endpoint = await listen(server, options.service, 0);
  return {
    endpoint,
    async close() {
      agent.destroy();
      await closeServer(server);
    },
  };
}

function describe({ method = '', url = '', headers }: IncomingMessage, service: Service): SeenRequest {
  const header = (name: string) => String(headers[name] ?? '');
  const common = { traceId: header('x-amzn-trace-id'), callId: header('amz-sdk-invocation-id') };
  if (service !== 's3') {
    return { ...common, operation: header('x-amz-target').split('.').at(-1) ?? '', key: '' };
  }
  const [path = '', query = ''] = url.split('?');
  const key = decodeURIComponent(path.split('/').slice(2).join('/'));
  const what = key === '' ? `?${query.split('&')[0]}` : key.slice(0, key.indexOf('/') + 1);
  return { ...common, operation: `${method} ${what}`, key };
}

function refuse(
  response: ServerResponse,
  service: Service,
  fault: 'throttled' | 'server-error' | 'conflict' | 'write-under-way',
): void {
  const [status, name] = REFUSALS[service][fault];
  const body =
    service === 's3'
      ? `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${name}</Code><Message>chaos</Message></Error>`
      : JSON.stringify({ __type: `com.amazonaws.${service}#${name}`, message: 'chaos' });
  const type = service === 's3' ? 'application/xml' : 'application/x-amz-json-1.0';
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const REFUSALS = {
  s3: {
    throttled: [503, 'SlowDown'],
    'server-error': [500, 'InternalError'],
    conflict: [412, 'PreconditionFailed'],
    'write-under-way': [409, 'ConditionalRequestConflict'],
  },
  dynamodb: {
    throttled: [400, 'ProvisionedThroughputExceededException'],
    'server-error': [500, 'InternalServerError'],
    conflict: [400, 'TransactionConflictException'],
    'write-under-way': [400, 'TransactionConflictException'],
  },
  sqs: {
    throttled: [400, 'RequestThrottled'],
    'server-error': [500, 'InternalError'],
    conflict: [500, 'InternalError'],
    'write-under-way': [500, 'InternalError'],
  },
} as const;

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function forward(
  agent: Agent,
  target: string,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
) {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(new URL(url ?? '/', target), { method, headers, agent }, resolve);
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  return { status: answer.statusCode ?? 500, headers: answer.headers, body: await bytesOf(answer) };
}
