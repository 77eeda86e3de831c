import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Template } from '../../infra/local/template.ts';

/** A folder that is removed when the test has finished. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'attune-local-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Writes what `cdk synth` would: a template, and for each entry of `code` an asset whose key is
 * `<name>.zip` with that text as its `index.mjs`.
 */
export function writeAssembly(
  dir: string,
  resources: Template['Resources'],
  code: Readonly<Record<string, string>> = {},
  outputs: Template['Outputs'] = {},
): string {
  const files: Record<string, object> = {};
  for (const [name, source] of Object.entries(code)) {
    mkdirSync(join(dir, `asset.${name}`), { recursive: true });
    writeFileSync(join(dir, `asset.${name}`, 'index.mjs'), source);
    files[name] = {
      source: { path: `asset.${name}`, packaging: 'zip' },
      destinations: { here: { bucketName: 'assets', objectKey: `${name}.zip` } },
    };
  }
  const stack = { type: 'aws:cloudformation:stack', properties: { templateFile: 'Test.template.json' } };
  writeFileSync(join(dir, 'manifest.json'), JSON.stringify({ version: '1', artifacts: { Test: stack } }));
  writeFileSync(join(dir, 'Test.assets.json'), JSON.stringify({ version: '1', files }));
  writeFileSync(join(dir, 'Test.template.json'), JSON.stringify({ Resources: resources, Outputs: outputs }));
  return dir;
}

/** A function of the template whose code is the asset of the same name. */
export function functionResource(asset: string, properties: Record<string, unknown> = {}) {
  return {
    Type: 'AWS::Lambda::Function',
    Properties: {
      FunctionName: asset,
      Code: { S3Bucket: 'assets', S3Key: `${asset}.zip` },
      Handler: 'index.handler',
      Runtime: 'nodejs24.x',
      Timeout: 60,
      MemorySize: 128,
      ...properties,
    },
  };
}
