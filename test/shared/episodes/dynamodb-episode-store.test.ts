import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { expect, it } from 'vitest';
import { CircuitBreaker } from '../../../shared/episodes/circuit-breaker.ts';
import { DynamoEpisodeStore } from '../../../shared/episodes/dynamodb-episode-store.ts';
import { InvalidInputError, UnavailableError } from '../../../shared/errors.ts';
import { EPISODE_VERSION_1 } from '../storage/population-samples.ts';

function storeThatAnswers(name: string): DynamoEpisodeStore {
  const send = () => Promise.reject(Object.assign(new Error('because'), { name }));
  return new DynamoEpisodeStore({ send } as unknown as DynamoDBClient, { table: 't', ttlDays: 1 });
}

it('treats a ValidationException as permanent, and throttling as retryable', async () => {
  await expect(storeThatAnswers('ValidationException').store(EPISODE_VERSION_1)).rejects.toThrow(
    InvalidInputError,
  );
  const throttled = storeThatAnswers('ProvisionedThroughputExceededException');
  await expect(throttled.store(EPISODE_VERSION_1)).rejects.toThrow(UnavailableError);
});

it('keeps the circuit breaker closed however many episodes the table refuses for good', async () => {
  const breaker = new CircuitBreaker({ failuresToOpen: 2 });
  const refusing = storeThatAnswers('ValidationException');
  for (let i = 0; i < 6; i++)
    await breaker.call('write', () => refusing.store(EPISODE_VERSION_1)).catch(() => undefined);
  expect(breaker.state).toBe('closed');
});
