import type { LocalStack } from '../../infra/local/local-stack.ts';
import { OUTPUT } from '../../shared/config/names.ts';

/** Clients of the stack's endpoints, as an application would create them. */
export async function connect(
  stack: LocalStack,
  settings: { learner: string; rank: number; embeddingDim: number },
) {
  const [
    { sqsClient },
    { s3Client },
    { lambdaClient },
    { dynamoClient },
    { SqsFeedbackQueue },
    { ObjectStore },
    { DynamoEpisodeStore },
    { learningObjects },
    sqs,
  ] = await Promise.all([
    import('../../shared/config/clients/sqs.ts'),
    import('../../shared/config/clients/s3.ts'),
    import('../../shared/config/clients/lambda.ts'),
    import('../../shared/config/clients/dynamodb.ts'),
    import('../../shared/feedback/sqs-queue.ts'),
    import('../../shared/storage/objects.ts'),
    import('../../shared/episodes/dynamodb-episode-store.ts'),
    import('../../shared/population/shared-learning.ts'),
    import('@aws-sdk/client-sqs'),
  ]);
  const { AWS_REGION: region = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = stack.environment;
  const common = {
    region,
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
  };
  const queueClient = sqsClient({ ...common, endpoint: stack.endpoints.sqs });
  const s3 = s3Client({ ...common, endpoint: stack.endpoints.s3 });
  const lambda = lambdaClient({ ...common, endpoint: stack.endpoints.lambda });
  const dynamodb = dynamoClient({ ...common, endpoint: stack.endpoints.dynamodb });
  const objects = new ObjectStore(s3, stack.outputs[OUTPUT.bucketName]!);
  return {
    lambda,
    objects,
    episodes: new DynamoEpisodeStore(dynamodb, { table: stack.outputs[OUTPUT.tableName]!, ttlDays: 1 }),
    queue: new SqsFeedbackQueue(queueClient, stack.outputs[OUTPUT.feedbackQueueUrl]!),
    learning: learningObjects(objects, settings),
    async deadLetters(): Promise<number> {
      const { Attributes } = await queueClient.send(
        new sqs.GetQueueAttributesCommand({
          QueueUrl: stack.outputs[OUTPUT.deadLetterQueueUrl]!,
          AttributeNames: ['ApproximateNumberOfMessages'],
        }),
      );
      return Number(Attributes?.ApproximateNumberOfMessages ?? 0);
    },
    close() {
      for (const client of [queueClient, s3, lambda, dynamodb]) client.destroy();
    },
  };
}

export type StackClients = Awaited<ReturnType<typeof connect>>;
