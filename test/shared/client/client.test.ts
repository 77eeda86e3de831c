import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
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

  test('does not take it from the outputs when resources name another queue', async () => {
    const lengths: number[] = [];
    const sqs = createServer(async (request, response) => {
      const { Entries } = JSON.parse(await text(request));
      const Successful = Entries.map(({ Id, MessageBody }: { Id: string; MessageBody: string }) => {
        const { interactions } = JSON.parse(MessageBody);
        lengths.push(Buffer.from(interactions[0].embedding, 'base64').length / 4);
        return { Id, MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex') };
      });
      response.end(JSON.stringify({ Successful }));
    }).listen(0, '127.0.0.1');
    await once(sqs, 'listening');
    const attune = create({
      outputs: deployed({}),
      resources: { feedbackQueueUrl: 'https://sqs.eu-west-1.amazonaws.com/1/other.fifo' },
      endpoint: `http://127.0.0.1:${(sqs.address() as AddressInfo).port}`,
      credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    });
    const published = attune.publish(ofLength(24));
    expect(await attune.close()).toEqual([]);
    await published;
    expect(lengths).toEqual([24]);
    sqs.closeAllConnections();
    sqs.close();
  });

  test('names a missing file of outputs when it is created', () => {
    expect(() => create({ outputs: '/nowhere/outputs.json' })).toThrow(
      '/nowhere/outputs.json: found no readable file, expected the file of cdk deploy --outputs-file',
    );
  });
});
