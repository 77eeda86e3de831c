import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readAssembly } from '../../../infra/local/assembly.ts';
import { temporaryFolder, writeAssembly } from '../../support/assembly-fixture.ts';

it('reading an assembly finds the stack name, the template and the asset folders', async () => {
  const dir = writeAssembly(temporaryFolder(), { Queue: { Type: 'AWS::SQS::Queue' } }, { code: '' });
  const assembly = await readAssembly(dir);
  expect(assembly.stackName).toBe('Test');
  expect(assembly.template.Resources).toEqual({ Queue: { Type: 'AWS::SQS::Queue' } });
  expect(assembly.assetFolder('code.zip')).toBe(join(dir, 'asset.code'));
  expect(() => assembly.assetFolder('other.zip')).toThrow(
    /found no asset other.zip, expected the asset that the template refers to/,
  );
});

it('reading an assembly refuses a folder without manifest and a manifest without stack', async () => {
  const dir = temporaryFolder();
  await expect(readAssembly(dir)).rejects.toThrow(
    `${join(dir, 'manifest.json')}: found no readable JSON, expected the output of cdk synth`,
  );
  writeFileSync(join(dir, 'manifest.json'), '{"artifacts":{}}');
  await expect(readAssembly(dir)).rejects.toThrow(`${dir}: found 0 stacks, expected exactly one`);
});

it('reading an assembly refuses an invalid or missing template and names its file', async () => {
  const dir = writeAssembly(temporaryFolder(), {});
  const template = join(dir, 'Test.template.json');
  writeFileSync(template, '{"Resources":{"Queue":{}}}');
  await expect(readAssembly(dir)).rejects.toThrow(`${template}: Resources.Queue.Type`);
  rmSync(template);
  mkdirSync(template);
  await expect(readAssembly(dir)).rejects.toThrow(`${template}: found no readable JSON`);
});
