import type { S3Client } from '@aws-sdk/client-s3';

/** S3 requests of a client and their bytes, without headers. */
export interface S3Requests {
  gets: number;
  /** Puts, lists and deletes. */
  others: number;
  bytesRead: number;
  bytesWritten: number;
}

/** Counts the client's requests from now on, including retries. */
export function countRequests(client: S3Client): S3Requests {
  const requests = { gets: 0, others: 0, bytesRead: 0, bytesWritten: 0 };
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        requests[commandName === 'GetObjectCommand' ? 'gets' : 'others'] += 1;
        const { body } = args.request as { body?: unknown };
        if (body instanceof Uint8Array) requests.bytesWritten += body.length;
        const result = await next(args);
        const { headers = {} } = result.response as { headers?: Record<string, string> };
        requests.bytesRead += Number(headers['content-length'] ?? 0);
        return result;
      },
    { step: 'deserialize', priority: 'low' },
  );
  return requests;
}
