import { expect, it, onTestFinished } from 'vitest';
import type { LocalFunction } from '../../../../infra/local/lambda/function.ts';
import { startFunctionUrl } from '../../../../infra/local/lambda/function-url.ts';

const SIGNED = { authorization: 'AWS4-HMAC-SHA256 Credential=local' };

/** A Function URL whose function returns `answer`, and the events that the function received. */
async function urlOf(answer: unknown, { failed = false, authType = 'NONE' as 'NONE' | 'AWS_IAM' } = {}) {
  const events: Record<string, unknown>[] = [];
  const target = {
    configuration: { arn: 'arn:aws:lambda:us-east-1:000000000000:function:answer' },
    async invoke(payload: string, requestId: string) {
      events.push(JSON.parse(payload));
      return { requestId, failed, payload: JSON.stringify(answer) };
    },
  } as unknown as LocalFunction;
  const { url, close } = await startFunctionUrl(target, authType);
  onTestFinished(close);
  return { url, events };
}

it('a Function URL passes a request in payload format 2.0', async () => {
  const { url, events } = await urlOf({});
  await fetch(`${url}path/to?a=1&b=x%20y&a=2`, {
    method: 'POST',
    body: '{"user":"ü"}',
    headers: { 'content-type': 'application/json', 'X-Custom': 'Yes', cookie: 'c=1; d=2' },
  });
  expect(events).toMatchObject([
    {
      version: '2.0',
      routeKey: '$default',
      rawPath: '/path/to',
      rawQueryString: 'a=1&b=x%20y&a=2',
      queryStringParameters: { a: '1,2', b: 'x y' },
      cookies: ['c=1', 'd=2'],
      headers: { 'content-type': 'application/json', 'x-custom': 'Yes' },
      requestContext: {
        http: { method: 'POST', path: '/path/to', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1' },
      },
      body: '{"user":"ü"}',
      isBase64Encoded: false,
    },
  ]);
  expect(events[0]?.headers).not.toHaveProperty('cookie');
});

it.each(['application/octet-stream', 'application/json'])(
  'a Function URL passes a body of %s that is not UTF-8 as base64',
  async (type) => {
    const { url, events } = await urlOf({});
    const headers = { 'content-type': type };
    await fetch(url, { method: 'POST', body: new Uint8Array([0, 255, 1]), headers });
    expect(events).toMatchObject([{ body: 'AP8B', isBase64Encoded: true }]);
  },
);

it('a Function URL responds with the status, headers, cookies and body of the function’s result', async () => {
  const { url } = await urlOf({
    statusCode: 418,
    headers: { 'x-a': 1 },
    cookies: ['c=1', 'd=2'],
    body: 'tea',
  });
  const response = await fetch(url);
  expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([418, '1', 'tea']);
  expect(response.headers.getSetCookie()).toEqual(['c=1', 'd=2']);
  expect(response.headers.get('content-type')).toBe('application/json');
});

it('a Function URL decodes a result body in base64', async () => {
  const { url } = await urlOf({ statusCode: 200, body: 'AP8B', isBase64Encoded: true });
  expect(new Uint8Array(await (await fetch(url)).arrayBuffer())).toEqual(new Uint8Array([0, 255, 1]));
});

it('a Function URL responds with a result without status code as JSON', async () => {
  const { url } = await urlOf({ scores: [1, 2] });
  const response = await fetch(url);
  expect([response.status, await response.json()]).toEqual([200, { scores: [1, 2] }]);
});

it('a Function URL responds with 502 and no reason when the function fails', async () => {
  const { url } = await urlOf({ errorMessage: 'secret' }, { failed: true });
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([502, '{"Message":"Internal Server Error"}']);
});

it('a Function URL with IAM refuses requests without a signature and passes the caller of signed ones', async () => {
  const { url, events } = await urlOf({}, { authType: 'AWS_IAM' });
  expect((await fetch(url)).status).toBe(403);
  expect(events).toEqual([]);
  expect((await fetch(url, { headers: SIGNED })).status).toBe(200);
  expect(events).toMatchObject([{ requestContext: { authorizer: { iam: { accountId: '000000000000' } } } }]);
});

it('a Function URL refuses a body of more than 6 MiB', async () => {
  const { url, events } = await urlOf({});
  const response = await fetch(url, { method: 'POST', body: 'x'.repeat(6 * 1024 * 1024 + 1) });
  expect(response.status).toBe(413);
  expect(events).toEqual([]);
});
