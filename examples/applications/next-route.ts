/**
 * Route handlers as Next.js takes them, in `app/api/films/route.ts`: GET recommends films to
 * whoever is logged in, POST takes what was done with one. They use nothing of Next.js, so they fit
 * whatever has `Request` and `Response`.
 */
import { AttuneError, createAttune, InvalidInputError } from 'attune/client';

/** One client for all requests: it buffers feedback, and its connections stay open. */
const attune = createAttune({ outputs: process.env.ATTUNE_OUTPUTS ?? 'outputs.json' });

/** Your application asks its session. */
function userOf(request: Request): string | null {
  return request.headers.get('x-user');
}

function failure(error: unknown): Response {
  if (error instanceof InvalidInputError)
    return Response.json({ field: error.field, expected: error.expected }, { status: 400 });
  if (error instanceof AttuneError && error.retryable)
    return Response.json({ message: 'try again' }, { status: 503 });
  throw error;
}

export async function GET(request: Request): Promise<Response> {
  const userId = userOf(request);
  if (userId === null) return new Response(null, { status: 401 });
  const genre = new URL(request.url).searchParams.get('genre');
  const filter = genre === null ? undefined : { attribute: 'genre', in: [genre] };
  try {
    // `signal` gives the call up when the visitor leaves.
    const { items, source } = await attune.recommend({ userId, limit: 10, filter, signal: request.signal });
    return Response.json({ films: items.map(({ itemId }) => itemId), source });
  } catch (error) {
    return failure(error);
  }
}

export async function POST(request: Request): Promise<Response> {
  const userId = userOf(request);
  if (userId === null) return new Response(null, { status: 401 });
  const { itemId, rating } = (await request.json()) as { itemId: string; rating: number };
  try {
    // On a serverless platform wait for the queue: the process may be frozen after the answer.
    const { eventId } = await attune.publish({ userId, itemId, reward: rating / 5 });
    return Response.json({ eventId }, { status: 202 });
  } catch (error) {
    return failure(error);
  }
}
