import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Analysis, checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { apiDocument } from '../docs/generate-api.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');

/**
 * An application that has installed the packed package, and uses it from JavaScript and from
 * TypeScript.
 */
describe('the packed package', () => {
  let folder: string;
  let installed: string;
  let tarball: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'attune-package-'));
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root });
    // Lifecycle scripts may print before the report.
    const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
    installed = join(folder, 'node_modules', 'attune');
    await mkdir(installed, { recursive: true });
    tarball = join(folder, filename);
    await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed]);
    // The packages that npm would have downloaded.
    await symlink(join(root, 'node_modules'), join(installed, 'node_modules'));
    await symlink(join(root, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
    for (const name of ['aws-cdk-lib', 'constructs'])
      await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('holds built JavaScript and declarations, and no TypeScript source, test or AWS SDK import of the root', async () => {
    const { stdout } = await run('find', [
      installed,
      '-name',
      'node_modules',
      '-prune',
      '-o',
      '-type',
      'f',
      '-print',
    ]);
    const files = stdout
      .trim()
      .split('\n')
      .map((file) => file.slice(installed.length + 1));
    expect(files).toContain('dist/shared/index.js');
    expect(files).toContain('dist/shared/index.d.ts');
    expect(files).toContain('dist/cli/attune.js');
    expect(files).toContain('cli/bin.mjs');
    expect(files.filter((file) => /(^|[^d])\.ts$|test\//.test(file) && !file.endsWith('.d.ts'))).toEqual([]);
  });

  it('trains an adapter from plain JavaScript', async () => {
    const script = `
      import { createAdapterFeedback, createLoRAPersonalizationEngine } from 'attune';
      const engine = createLoRAPersonalizationEngine({ embeddingDim: 16 });
      const x = Float32Array.from({ length: 16 }, (_, i) => Math.sin(i));
      const feedback = [createAdapterFeedback({ completionRate: 1, rating: 5 }, x)];
      const adapter = await engine.updateAdapter(engine.createAdapter('user'), feedback);
      const back = engine.deserializeAdapter(engine.serializeAdapter(adapter));
      console.log(JSON.stringify({ version: back.version, moved: engine.computeLoRAForward(x, back).some((y, i) => y !== x[i]) }));
    `;
    await writeFile(join(folder, 'app.js'), script);
    const { stdout } = await run(process.execPath, ['app.js'], { cwd: folder });
    expect(JSON.parse(stdout)).toEqual({ version: 2, moved: true });
  });

  it('trains an adapter without loading an AWS SDK', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
      await import('attune');
      console.log(JSON.stringify({ modules: loaded.length, aws: loaded.filter((url) => url.includes('@aws-sdk')) }));
    `;
    await writeFile(join(folder, 'hooks.js'), script);
    const { stdout } = await run(process.execPath, ['hooks.js'], { cwd: folder });
    const { modules, aws } = JSON.parse(stdout);
    expect(modules).toBeGreaterThan(10);
    expect(aws).toEqual([]);
  });

  it.each([
    // Without the DOM, and without types that happen to be installed.
    { module: 'NodeNext', moduleResolution: 'NodeNext', lib: ['ES2022'], types: [] },
    { module: 'ESNext', moduleResolution: 'Bundler' },
  ])(
    'type-checks in a strict application of ES2022, declarations included: $moduleResolution',
    async (settings) => {
      await writeFile(
        join(folder, 'app.ts'),
        `import { createLoRAPersonalizationEngine, type UserLoRAAdapter } from 'attune';
       import { createAttune, type RecommendAnswer, UnsentFeedbackError } from 'attune/client';
       import { DynamoEpisodeStore } from 'attune/dynamodb';
       const adapter: UserLoRAAdapter = createLoRAPersonalizationEngine().createAdapter('user');
       const attune = createAttune({ outputs: 'outputs.json' });
       const { eventId } = await attune.publish({ userId: 'ada', itemId: 'a', reward: 0.9 });
       const answer: RecommendAnswer = await attune.recommend({ userId: 'ada', limit: 20 });
       const because = (await attune.explain({ userId: 'ada' })).items[0]?.parts.user;
       // @ts-expect-error: a rank is no text
       const wrong: string = adapter.rank;
       // @ts-expect-error: an answer has no such field
       answer.nothing;
       export { because, DynamoEpisodeStore, eventId, UnsentFeedbackError, wrong };`,
      );
      const compilerOptions = {
        ...settings,
        target: 'ES2022',
        strict: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
        noEmit: true,
      };
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.ts'] }));
      await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder], { cwd: folder });
    },
  );

  it('has entry points and types without findings of publint and are-the-types-wrong', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    expect(messages).toEqual([]);
    const { problems } = (await checkPackage(
      createPackageFromTarballData(new Uint8Array(await readFile(tarball))),
    )) as Analysis;
    // The package has only ES modules, so findings about `require` and older resolution do not
    // apply.
    const ofModules = problems.filter(
      (problem) =>
        !('resolutionKind' in problem && ['node10', 'node16-cjs'].includes(problem.resolutionKind)),
    );
    expect(ofModules).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
  });

  describe('in the app of examples/cdk-app', () => {
    let app: string;
    beforeAll(async () => {
      app = join(folder, 'cdk-app');
      await cp(join(root, 'examples', 'cdk-app'), app, { recursive: true });
    });

    it('type-checks under strict TypeScript, declarations of libraries included', async () => {
      await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', app], { cwd: app });
    });

    it('synthesizes two deployments that share no name, with the bundles of the package', async () => {
      const { stderr } = await run(process.execPath, ['app.ts'], {
        cwd: app,
        // Rules are checked below, with settings of the folder.
        env: { ...process.env, CDK_OUTDIR: join(app, 'cdk.out'), CDK_VALIDATION: 'false' },
      });
      expect(stderr).not.toMatch(/bundling/i);
      const template = JSON.parse(await readFile(join(app, 'cdk.out', 'Shop.template.json'), 'utf8'));
      const all = Object.values<{
        Type: string;
        Properties: { QueueName?: string; Environment?: { Variables: Record<string, string> } };
      }>(template.Resources);
      const of = (type: string) =>
        all.filter(({ Type }) => Type === type).map(({ Properties }) => Properties);
      const queues = of('AWS::SQS::Queue').flatMap(({ QueueName }) => QueueName ?? []);
      expect(queues).toEqual([
        expect.stringMatching(/^Shop-Films.*-feedback\.fifo$/),
        expect.stringMatching(/^Shop-Books.*-feedback\.fifo$/),
      ]);
      const deployments = of('AWS::Lambda::Function').map(
        ({ Environment }) => Environment?.Variables.ATTUNE_DEPLOYMENT,
      );
      expect(deployments).toHaveLength(6);
      expect(new Set(deployments)).toEqual(
        new Set(queues.map((name: string) => name.replace('-feedback.fifo', ''))),
      );
      const { files } = JSON.parse(await readFile(join(app, 'cdk.out', 'Shop.assets.json'), 'utf8'));
      const assets = Object.values<{ source: { path: string; packaging: string } }>(files);
      const [bundle] = assets.filter(({ source }) => source.packaging === 'zip');
      expect(await readdir(join(app, 'cdk.out', bundle?.source.path ?? ''))).toEqual(['index.mjs']);
    });

    it('names the valid range of an invalid property', async () => {
      const source = await readFile(join(app, 'app.ts'), 'utf8');
      await writeFile(join(app, 'wrong.ts'), source.replace('rank: 8', 'rank: 99'));
      await expect(run(process.execPath, ['wrong.ts'], { cwd: app })).rejects.toThrow(
        'rank: found 99, expected an integer from 1 to 64',
      );
    });
  });

  describe('in a folder with settings of its own', () => {
    let shop: string;
    const attune = (...args: string[]) =>
      run(process.execPath, [join(installed, 'cli', 'bin.mjs'), ...args], { cwd: shop });

    beforeAll(async () => {
      shop = join(folder, 'shop');
      await mkdir(join(shop, 'node_modules'), { recursive: true });
      await symlink(installed, join(shop, 'node_modules', 'attune'));
      await attune('init', '--embedding-dim', '32', '--stack-name', 'Shop');
    });

    it('runs the whole stack on this machine', async () => {
      const { stdout } = await attune('local', '--users', '3', '--events-per-user', '2', '--json');
      expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ users: 3 });
    });

    it('synthesizes under the CDK command line, with these settings', async () => {
      const cdk = join(root, 'node_modules', 'aws-cdk', 'bin', 'cdk');
      await run(process.execPath, [cdk, 'synth', '--quiet', '--no-notices'], { cwd: shop });
      const template = await readFile(join(shop, 'cdk.out', 'Attune.template.json'), 'utf8');
      expect(template).toContain('"ATTUNE_EMBEDDING_DIM": "32"');
      expect(template).toContain('Shop-feedback.fifo');
    });

    it('deploys through the CDK command line of the project, and says what to install without it', async () => {
      await expect(attune('deploy')).rejects.toThrow(
        'attune: found no CDK command line, expected npm install --save-dev aws-cdk aws-cdk-lib constructs',
      );
      const cdk = join(shop, 'node_modules', 'aws-cdk');
      await mkdir(join(cdk, 'bin'), { recursive: true });
      await writeFile(join(cdk, 'package.json'), '{"name":"aws-cdk"}');
      await writeFile(join(cdk, 'bin', 'cdk'), 'console.log(JSON.stringify(process.argv.slice(2)));');
      const { stdout } = await attune('deploy', '--outputs', 'o.json', '--', '--profile', 'p');
      expect(JSON.parse(stdout)).toEqual([
        'deploy',
        '--app',
        expect.stringMatching(/^node ".*\/dist\/infra\/app\.js"$/),
        '--outputs-file',
        'o.json',
        '--profile',
        'p',
      ]);
    });
  });

  it('has an up-to-date docs/api.md', async () => {
    const written = await readFile(join(root, 'docs', 'api.md'), 'utf8');
    expect(apiDocument(join(installed, 'dist'))).toBe(written);
  });

  it('has an executable that prints its version', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const { stdout } = await run(process.execPath, [
      join(installed, 'dist', 'cli', 'attune.js'),
      '--version',
    ]);
    expect(stdout.trim()).toBe(version);
  });
});
