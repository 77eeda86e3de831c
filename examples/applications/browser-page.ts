/**
 * A page with clicks as feedback. The browser calls the application's own endpoint, which knows the
 * visitor by a cookie; the browser never has AWS credentials. `node browser-page.ts [port]`.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createAttune, InvalidInputError } from 'attune/client';

const [port = '3000'] = process.argv.slice(2);
const attune = createAttune({ outputs: process.env.ATTUNE_OUTPUTS ?? 'outputs.json' });

const page = (films: readonly string[]) => `<!doctype html>
<ul>${films.map((id) => `<li><button data-item="${encodeURIComponent(id)}">${encodeURIComponent(id)}</button></li>`).join('')}</ul>
<script>
  document.addEventListener('click', (event) => {
    const itemId = event.target.dataset.item;
    if (!itemId) return;
    // keepalive: the request continues when the visitor leaves the page. The id makes a repetition
    // harmless.
    const click = { itemId: decodeURIComponent(itemId), eventId: crypto.randomUUID() };
    fetch('/clicks', { method: 'POST', body: JSON.stringify(click), keepalive: true });
  });
</script>`;

/** Your application has a session; here a cookie names a visitor at random. */
function visitorOf({ headers }: IncomingMessage): string | undefined {
  return /(?:^|; )visitor=([\w-]+)/.exec(headers.cookie ?? '')?.[1];
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const userId = visitorOf(request);
  if (request.method === 'POST' && request.url === '/clicks' && userId !== undefined) {
    let body = '';
    for await (const chunk of request) {
      body += chunk;
      if (body.length > 1_000) throw new SyntaxError('found a longer body, expected one click');
    }
    const { itemId, eventId } = JSON.parse(body) as { itemId: string; eventId: string };
    await attune.publish({ userId, itemId, eventId, reward: 1 });
    response.writeHead(204).end();
    return;
  }
  const visitor = userId ?? randomUUID();
  const { items } = await attune.recommend({ userId: visitor, limit: 10 });
  const cookie = `visitor=${visitor}; HttpOnly; SameSite=Lax; Path=/`;
  response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': cookie });
  response.end(page(items.map(({ itemId }) => itemId)));
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    const wrong = error instanceof InvalidInputError || error instanceof SyntaxError;
    response.writeHead(wrong ? 400 : 500).end();
  });
}).listen(Number(port), '127.0.0.1');
process.once('SIGTERM', () => server.close(() => void attune.close()));
