import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { rankingPicture } from '../../docs/generate-picture.ts';
import { explainedError, recommendAnswer } from '../../shared/contract/answers.ts';
import { recommendRequest, searchRequest, similarRequest } from '../../shared/contract/catalogue-request.ts';
import { personalizeRequest } from '../../shared/contract/personalize-request.ts';
import { eventSchema } from '../../shared/feedback/event-schema.ts';
import { runAttune } from '../support/run-attune.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');

interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

/** Names that the text around a block introduces, with their types. */
const NAMES: Readonly<Record<string, string>> = {
  engine: "ReturnType<typeof import('attune').createLoRAPersonalizationEngine>",
  bank: "import('attune').StoredReasoningBank",
  store: "import('attune').InMemoryEpisodeStore",
  feedback: "import('attune').AdapterFeedback[]",
  embedding: 'Float32Array',
  query: 'Float32Array',
  items: "import('attune/s3-vectors').VectorItem[]",
  itemEmbeddings: 'Float32Array[]',
  itemEmbedding: 'Float32Array',
  otherEmbedding: 'Float32Array',
  tableName: 'string',
  stack: "import('aws-cdk-lib').Stack",
  role: "import('aws-cdk-lib/aws-iam').IRole",
  Attune: "typeof import('attune/cdk').Attune",
  StoredReasoningBank: "typeof import('attune').StoredReasoningBank",
  createLoRAPersonalizationEngine: "typeof import('attune').createLoRAPersonalizationEngine",
  log: 'Console',
  consolidateFunction: 'string',
  invoke: '(name: string, payload: object) => Promise<never>',
};

/** Languages that are not code of Attune's users: diagrams, and output without a language. */
const NO_CODE = ['', 'mermaid'];

const pages: Map<string, string> = new Map();
let blocks: Block[];
beforeAll(async () => {
  for await (const file of glob(['*.md', 'docs/**/*.md'], { cwd: root }))
    pages.set(file, await readFile(join(root, file), 'utf8'));
  blocks = [...pages].flatMap(([page, text]) => blocksOf(page, text));
});

function blocksOf(page: string, text: string): Block[] {
  return [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm)].map((match) => {
    const [, indent = '', language = '', code = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    return { page, line, language, code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '') };
  });
}

const named = ({ page, line }: Block) => `${page}:${line}`;

/** Blocks that a separate test runs unchanged. */
const RUN_ELSEWHERE = /aws-sigv4|SigV4Auth|SignatureV4/;

describe('a code block of the documents', () => {
  test('is in a language that these tests check', () => {
    const languages = new Set(blocks.map(({ language }) => language));
    expect([...languages].filter((each) => !NO_CODE.includes(each)).sort()).toEqual([
      'json',
      'python',
      'sh',
      'ts',
    ]);
  });

  test('in TypeScript type-checks', async () => {
    await mkdir(join(root, '.attune'), { recursive: true });
    const folder = await mkdtemp(join(root, '.attune', 'docs-'));
    try {
      // docs/api.md contains declarations generated from those of the package.
      const typed = blocks.filter(({ language, page }) => language === 'ts' && page !== 'docs/api.md');
      expect(typed.length).toBeGreaterThan(10);
      for (const block of typed) {
        const isDeclared = (name: string) =>
          new RegExp(`(const|let|class) (\\{[^}]*)?\\b${name}\\b|[{,] *${name}\\b[^;]*\\} from`).test(
            block.code,
          );
        const declared = Object.entries(NAMES)
          .filter(([name]) => !isDeclared(name))
          .map(([name, type]) => `declare const ${name}: ${type};`);
        const code = `${declared.join(' ')} export {};\n${block.code}`;
        await writeFile(join(folder, `${named(block).replaceAll(/[/.:]/g, '-')}.ts`), code);
      }
      const config = { extends: '../../tsconfig.json', include: ['*.ts'], compilerOptions: LOOSE };
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
      const checked = await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder], {
        cwd: root,
      }).then(
        () => '',
        ({ stdout }) => stdout as string,
      );
      expect(checked).toBe('');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('in Python compiles, where there is Python', async () => {
    const python = blocks.filter(({ language }) => language === 'python');
    expect(python.length).toBeGreaterThan(1);
    for (const block of python) {
      const check = ['-c', 'import sys; compile(sys.argv[1], "block", "exec")', block.code];
      await run('python3', check).catch((error) => {
        if (error.code !== 'ENOENT') throw new Error(`${named(block)}: ${error.stderr}`);
      });
    }
  });

  test('in JSON is JSON, and fits the contract where it is a part of it', () => {
    let checked = 0;
    for (const block of blocks.filter(({ language }) => language === 'json')) {
      const value = JSON.parse(block.code);
      const schema = schemaOf(value);
      if (schema === undefined) continue;
      const { error } = schema.safeParse(value);
      expect(error?.issues ?? [], named(block)).toEqual([]);
      checked++;
    }
    expect(checked).toBeGreaterThan(3);
  });

  test('of shell commands names commands and options that there are', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const help = new Map<string, string>();
    const inProse = [...pages].flatMap(([page, text]) =>
      [...text.matchAll(/`((?:npx )?attune [a-z][^`]*)`/g)].map(([, code = '']) => ({
        page,
        line: 0,
        language: 'sh',
        code: code.replace(/^attune/, 'npx attune'),
      })),
    );
    const shell = [...blocks, ...inProse].filter(
      ({ language, code }) => language === 'sh' && !RUN_ELSEWHERE.test(code),
    );
    for (const block of shell) {
      for (const command of commandsOf(block.code)) {
        const [program = '', first = '', ...rest] = command;
        const at = `${named(block)}: ${command.join(' ')}`;
        if (program === 'npm' && first === 'run') expect(Object.keys(scripts), at).toContain(rest[0]);
        else if (program === 'npm' && first === 'start') await optionsExist(['local', ...rest], help, at);
        else if (program === 'npx' && first === 'attune') await optionsExist(rest, help, at);
        else if (program === 'npx' && first === 'vitest')
          expect(existsSync(join(root, rest[1] ?? '')), at).toBe(true);
        else if (program === 'node') expect(existsSync(join(root, first)), at).toBe(true);
        else
          expect(['npm ci', 'npm test', 'npm install', 'npx cdk', 'aws s3api', 'aws dynamodb'], at).toContain(
            `${program} ${first}`,
          );
      }
    }
    expect(help.size).toBeGreaterThan(5);
  });
});

const LOOSE = { noUnusedLocals: false, noUnusedParameters: false, rootDir: '../..' };

/** The part of the contract that a document belongs to. */
function schemaOf(value: Record<string, unknown>) {
  if ('schemaVersion' in value) return eventSchema;
  if ('candidates' in value) return personalizeRequest;
  if ('recommendationId' in value) return recommendAnswer;
  if ('found' in value) return explainedError;
  return { recommend: recommendRequest, similar: similarRequest, search: searchRequest }[
    String(value.action)
  ];
}

/** The commands of a block, each as a list of words. */
function commandsOf(code: string): string[][] {
  return code
    .replaceAll('\\\n', ' ')
    .split(/\n|&&/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '')
    .map((line) => line.replace(/"\$\([\s\S]*/, '').split(/\s+/));
}

/** Asserts that a command of `attune` has all options that are written. */
async function optionsExist(words: readonly string[], known: Map<string, string>, at: string): Promise<void> {
  const [command = '', second = ''] = words;
  const path = /^(catalogue|basis|dlq|model)$/.test(command) ? [command, second] : [command];
  const name = path.join(' ');
  if (!known.has(name)) {
    const { code, stdout } = await runAttune([...path, '--help']);
    expect(code, at).toBe(0);
    known.set(name, stdout);
  }
  for (const option of words.filter((word) => /^--\w/.test(word)))
    expect(known.get(name), at).toContain(option);
}

describe('a link of the documents', () => {
  test('leads to a file, and to a heading of it', () => {
    const wrong: string[] = [];
    let links = 0;
    for (const [page, text] of pages) {
      const prose = text.replaceAll(/^( *)```[\s\S]*?^ *```$/gm, '');
      for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue;
        links++;
        const [file = '', heading] = target.split('#');
        const path = file === '' ? page : relative(root, join(root, dirname(page), file));
        const exists = existsSync(join(root, path));
        const found = heading === undefined || headingsOf(pages.get(path) ?? '').includes(heading);
        if (!exists || !found) wrong.push(`${page}: ${target}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(links).toBeGreaterThan(50);
  });

  test('reaches every page from the map of the documents', () => {
    const map = pages.get(join('docs', 'README.md')) ?? '';
    const linked = [...map.matchAll(/\]\(([^)#\s]+)/g)].map(([, target = '']) => join('docs', target));
    const unlinked = [...pages.keys()].filter(
      (page) =>
        page.startsWith('docs/') && page !== 'docs/README.md' && !/docs\/(decisions|benchmarks)\//.test(page),
    );
    expect(unlinked.filter((page) => !linked.includes(page))).toEqual([]);
  });
});

/** Headings as GitHub names them in links. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the README', () => {
  test('shows the ranking that its summary of `npm start` has', async () => {
    const text = pages.get('README.md') ?? '';
    const [, interactions = ''] = /in one call, after (\d+) interactions/.exec(text) ?? [];
    const [, userId = '', rows = ''] =
      /liked best so far +for a new user +for (\S+)\n([\s\S]*?)```/.exec(text) ?? [];
    const cells = rows
      .trim()
      .split('\n')
      .map((row) => row.trim().split(/ {2,}/));
    const column = (at: number) => cells.map((row) => row[at] ?? '');
    const example = {
      userId,
      interactions: Number(interactions),
      liked: column(0),
      before: column(1),
      after: column(2),
    };
    expect(cells).toHaveLength(5);
    expect(await readFile(join(root, 'docs', 'ranking.svg'), 'utf8')).toBe(rankingPicture(example));
    expect(text).toContain('](docs/ranking.svg)');
  });

  test('shows publish and recommend in six lines on its first screen', () => {
    const first = (pages.get('README.md') ?? '').split('\n').slice(0, 40).join('\n');
    const [block] = blocksOf('README.md', first).filter(({ language }) => language === 'ts');
    const lines =
      block?.code
        .trim()
        .split('\n')
        .filter((line) => line !== '') ?? [];
    expect(lines.length).toBeLessThanOrEqual(6);
    expect(block?.code).toMatch(/attune\.publish\([\s\S]*attune\.recommend\(/);
    expect(first).toContain('](docs/ranking.svg)');
  });
});
