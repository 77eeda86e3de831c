import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { expect, it, onTestFinished } from 'vitest';
import { LocalStack } from '../../../../infra/local/local-stack.ts';
import { synthesize } from '../../../../infra/synth.ts';
import { sqsClient } from '../../../../shared/config/clients/sqs.ts';
import { OUTPUT } from '../../../../shared/config/names.ts';
import { temporaryFolder } from '../../../support/assembly-fixture.ts';
import { LOCAL } from '../../../support/local-clients.ts';

it("the local stack supports every resource and property of Attune's template", async () => {
  const assemblyDir = temporaryFolder();
  synthesize({ outdir: assemblyDir, bundle: false, check: false });
  const stack = await LocalStack.start({ assemblyDir });
  onTestFinished(() => stack.stop());
  expect(Object.keys(stack.outputs).sort()).toEqual(Object.values(OUTPUT).sort());
  const client = sqsClient({
    endpoint: stack.endpoints.sqs,
    ...LOCAL,
  });
  onTestFinished(() => client.destroy());
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({
      QueueUrl: stack.outputs[OUTPUT.feedbackQueueUrl],
      AttributeNames: ['All'],
    }),
  );
  expect(Attributes).toMatchObject({
    FifoQueue: 'true',
    VisibilityTimeout: '180',
    MaximumMessageSize: '262144',
  });
  expect(JSON.parse(Attributes?.RedrivePolicy ?? '')).toMatchObject({ maxReceiveCount: 10 });
});
