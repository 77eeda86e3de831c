import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stackOutput } from '../../cli/stack-outputs.ts';
import { OUTPUT } from '../../shared/config/names.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attune-outputs-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function bucketIn(content: string): Promise<string> {
  const file = join(folder, 'outputs.json');
  await writeFile(file, content);
  return stackOutput(file, OUTPUT.bucketName);
}

describe('an output of the stack', () => {
  test('is found below the stack, or at the top', async () => {
    expect(await bucketIn('{"Attune":{"BucketName":"b"},"Other":{"Url":"u"}}')).toBe('b');
    expect(await bucketIn('{"BucketName":"b"}')).toBe('b');
  });

  test.each([
    [
      'of two stacks',
      '{"One":{"BucketName":"b"},"Two":{"BucketName":"c"}}',
      'found 2 stacks with BucketName, expected one',
    ],
    ['that is missing', '{"One":{}}', 'found 0 stacks with BucketName, expected one'],
    ['that is no text', '{"One":{"BucketName":1}}', 'found 0 stacks'],
    ['of something else', '[null]', 'found 0 stacks'],
    ['of a file that is not JSON', 'BucketName=b', 'found "BucketName=b", expected JSON'],
  ])('%s is refused', async (_, content, message) => {
    await expect(bucketIn(content)).rejects.toThrow(message);
  });
});
