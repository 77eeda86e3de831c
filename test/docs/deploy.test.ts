import { execFile } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { synthesizedTemplate } from '../infra/template.ts';
import { SETTINGS, startWholeStack } from '../stack/running-stack.ts';
import { runAttune } from '../support/run-attune.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'deploy.md'), 'utf8');

/** Code blocks of a language, in their order. */
function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, code]) => code!,
  );
}

const blockWith = (language: string, text: string) => blocks(language).find((code) => code.includes(text))!;

test('CloudFormation may create every type of resource that the template has', () => {
  const { Statement } = JSON.parse(blocks('json')[0]!) as {
    Statement: { Action: string[]; Resource: string }[];
  };
  const services = Statement[0]!.Action.map((action) => action.split(':')[0]);
  const template = synthesizedTemplate({ alarmEmail: 'a@example.org', monthlyBudget: 5 }).toJSON();
  const types = new Set(
    Object.values<{ Type: string }>(template.Resources).map(({ Type }) => Type.split('::')[1]!),
  );
  const needed = [...types].filter((service) => service !== 'IAM').map((service) => service.toLowerCase());
  expect(needed.filter((service) => !services.includes(service))).toEqual([]);
  expect(needed.length).toBeGreaterThan(6);
});

const KEY = { id: 'AKIDEXAMPLE', secret: 'secret of nobody', region: 'us-east-1' };

describe('a call of the signed URL', () => {
  let running: Awaited<ReturnType<typeof startWholeStack>>;
  let gate: Server;
  let folder: string;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    running = await startWholeStack();
    gate = createServer((request, response) => {
      verified(request).then(
        async (body) => {
          const { authorization = '' } = request.headers;
          const answer = await fetch(running.output('personalizeUrl'), {
            method: 'POST',
            headers: { 'content-type': 'application/json', authorization },
            body,
          });
          response.writeHead(answer.status).end(await answer.text());
        },
        (error: Error) => response.writeHead(403).end(error.message),
      );
    });
    await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
    folder = await mkdtemp(join(tmpdir(), 'attune-url-'));
    const outputs = join(folder, 'outputs.json');
    await writeFile(outputs, JSON.stringify({ Attune: running.stack.outputs }));
    const items = Array.from({ length: 5 }, (_, i) => ({
      itemId: `item-${i}`,
      embedding: Array.from({ length: SETTINGS.embeddingDim }, (_, j) => Math.sin(i * j + i)),
    }));
    const input = items.map((item) => JSON.stringify(item)).join('\n');
    await runAttune(['catalogue', 'put', '-', '--outputs', outputs], {
      env: running.stack.environment,
      input,
    });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    environment = {
      PATH: process.env.PATH,
      HOME: folder,
      ATTUNE_URL: `http://127.0.0.1:${(gate.address() as AddressInfo).port}/`,
      AWS_REGION: KEY.region,
      AWS_ACCESS_KEY_ID: KEY.id,
      AWS_SECRET_ACCESS_KEY: KEY.secret,
    };
  });
  afterAll(async () => {
    gate?.close();
    await running?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const callers: [string, string, string, string, string[]][] = [
    ['curl', 'sh', 'aws-sigv4', 'ask.sh', ['sh', 'ask.sh']],
    ['Python', 'python', 'SigV4Auth', 'ask.py', ['python3', 'ask.py']],
    ['TypeScript', 'ts', 'SignatureV4', 'ask.ts', [process.execPath, 'ask.ts']],
  ];

  test.each(callers)(
    'from %s as the guide shows it is signed correctly and answered',
    async (_, language, text, file, [command = '', ...args]) => {
      await writeFile(join(folder, file), blockWith(language, text));
      const call = (env: NodeJS.ProcessEnv) =>
        run(command, args, { cwd: folder, env }).then(
          ({ stdout }) => stdout,
          (error: { stdout?: string; stderr?: string }) => `${error.stdout}${error.stderr}`,
        );
      const answered = await call(environment);
      // Without its tool, a machine cannot run an example.
      if (/No module named 'botocore'|not found/.test(answered)) return;
      expect(JSON.parse(answered).items).toHaveLength(3);
      expect(await call({ ...environment, AWS_SECRET_ACCESS_KEY: 'wrong' })).toMatch(/wrong signature|403/);
    },
    30_000,
  );
});

/**
 * The body of a request with a valid signature.
 * @throws Error otherwise
 */
async function verified(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { authorization = '', 'x-amz-date': date = '' } = request.headers;
  const [, scope = '', names = '', signature] =
    /Credential=[^/]+\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=(\w+)/.exec(authorization) ?? [];
  const hex = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
  const canonical = [
    'POST',
    request.url,
    '',
    ...names.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    names,
    hex(body),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, scope, hex(canonical)].join('\n');
  const key = scope
    .split('/')
    .reduce<string | Buffer>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      `AWS4${KEY.secret}`,
    );
  const expected = createHmac('sha256', key).update(text).digest('hex');
  if (!scope.endsWith(`/${KEY.region}/lambda/aws4_request`) || signature !== expected)
    throw new Error('wrong signature');
  return body;
}
