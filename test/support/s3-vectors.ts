import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { S3VectorsClient } from '@aws-sdk/client-s3vectors';
import { LOCAL } from './local-clients.ts';

interface Stored {
  readonly key: string;
  readonly data: { readonly float32: number[] };
  readonly metadata?: Record<string, unknown>;
}

interface Body {
  readonly vectors: Stored[];
  readonly keys: string[];
  readonly queryVector: { readonly float32: number[] };
  readonly topK: number;
  readonly filter?: Record<string, unknown>;
}

/**
 * The three operations of S3 Vectors that Attune uses, over HTTP, in memory.
 * @param isMissed whether a search overlooks a vector, as an approximate index does
 */
export async function startS3Vectors(isMissed: (key: string) => boolean = () => false) {
  const stored = new Map<string, Stored>();
  const requests: string[] = [];
  const operations: Record<string, (body: Body) => object> = {
    '/PutVectors': ({ vectors }) => {
      if (vectors.length > 500) throw new Error('more than 500 vectors');
      for (const vector of vectors) stored.set(vector.key, vector);
      return {};
    },
    '/QueryVectors': ({ queryVector, topK, filter }) => {
      if (topK > 100) throw new Error('topK is above 100');
      const found = [...stored.values()]
        .filter(({ key, metadata }) => {
          const fits = Object.entries(filter ?? {}).every(([name, value]) => metadata?.[name] === value);
          return fits && !isMissed(key);
        })
        .map(({ key, data }) => ({ key, distance: 1 - cosine(queryVector.float32, data.float32) }))
        .sort((a, b) => a.distance - b.distance);
      return { vectors: found.slice(0, topK), distanceMetric: 'cosine' };
    },
    '/GetVectors': ({ keys }) => ({
      vectors: keys.flatMap((key) => stored.get(key) ?? []),
    }),
  };
  const server = createServer(async (request, response) => {
    const operation = operations[request.url ?? ''];
    const body = JSON.parse(await text(request));
    requests.push(request.url!.slice(1));
    try {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(operation!(body)));
    } catch (error) {
      response.statusCode = 400;
      response.end(JSON.stringify({ message: String(error) }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new S3VectorsClient({
    ...LOCAL,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    maxAttempts: 1,
  });
  return {
    client,
    requests,
    size: () => stored.size,
    async stop() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function cosine(x: readonly number[], y: readonly number[]): number {
  let [product, xx, yy] = [0, 0, 0];
  x.forEach((value, i) => {
    product += value * y[i]!;
    xx += value * value;
    yy += y[i]! * y[i]!;
  });
  return product / Math.sqrt(xx * yy);
}
