import { describe, expect, test } from 'vitest';
import { type AttuneOptions, createAttune } from '../../../shared/client/index.ts';
import { OUTPUT } from '../../../shared/config/names.ts';

const deployed = (settings: object) => ({
  Attune: { [OUTPUT.learningSettings]: JSON.stringify({ embeddingDim: 16, ...settings }) },
});
const clock = { now: () => 0, after: () => () => {} };
const create = (options: AttuneOptions) => createAttune({ ...options, clock });
const ofLength = (length: number) => ({ userId: 'ada', embedding: new Array(length).fill(1), reward: 1 });

describe('the client of a deployment', () => {
  test('takes the embedding length from the outputs', async () => {
    const attune = create({ outputs: deployed({}) });
    await expect(attune.publish(ofLength(3))).rejects.toMatchObject({
      code: 'invalid-input',
      found: '3 numbers',
      expected: '16 numbers',
    });
  });

  test('takes it from the outputs of a later version, too', async () => {
    const attune = create({ outputs: deployed({ settingOfALaterVersion: 1 }) });
    await expect(attune.publish(ofLength(3))).rejects.toMatchObject({ expected: '16 numbers' });
  });

  test('refuses another length than that of the outputs when it is created', () => {
    expect(() => create({ outputs: deployed({}), embeddingDim: 64 })).toThrow(
      'embeddingDim: found 64, expected 16, the value of outputs',
    );
  });

  test('names a missing file of outputs when it is created', () => {
    expect(() => create({ outputs: '/nowhere/outputs.json' })).toThrow(
      '/nowhere/outputs.json: found no readable file, expected the file of cdk deploy --outputs-file',
    );
  });
});
