import type { IncomingMessage } from 'node:http';

/** Lambda's payload limit for synchronous invocations. */
export const PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024;

/** The body of a request; undefined when it exceeds Lambda's limit. */
export async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= PAYLOAD_LIMIT_BYTES) chunks.push(chunk);
  }
  return length <= PAYLOAD_LIMIT_BYTES ? Buffer.concat(chunks) : undefined;
}
