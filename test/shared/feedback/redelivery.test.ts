import type { SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, test } from 'vitest';
import { type FailedMessage, Redelivery, retrySeconds } from '../../../shared/feedback/redelivery.ts';

describe('the wait for the next delivery', () => {
  test('doubles with every delivery, up to the visibility timeout of the queue', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((count) => retrySeconds(count, 180, 0));
    expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 180, 180]);
  });

  test('is shorter by a random part of up to a half, and never 0', () => {
    expect(retrySeconds(5, 180, 0.5)).toBe(24);
    expect(retrySeconds(5, 180, 0.999)).toBe(17);
    expect(retrySeconds(1, 180, 0.999)).toBe(2);
    expect(retrySeconds(1, 2, 0.999)).toBeGreaterThan(0);
  });
});

function redelivery(draws: number[]) {
  const sent: { VisibilityTimeout: number; ReceiptHandle: string }[][] = [];
  const client = {
    send: async ({ input }: { input: { QueueUrl: string; Entries: never[] } }) => {
      expect(input.QueueUrl).toBe('queue');
      sent.push(input.Entries);
      return {};
    },
  } as unknown as SQSClient;
  return { sent, target: new Redelivery(client, 'queue', 180, () => draws.shift() ?? 0) };
}

const failed = (receiptHandle: string, groupId: string, receiveCount: number): FailedMessage => ({
  receiptHandle,
  groupId,
  receiveCount,
});

test('failed messages of one group return together, and each group after its own delay', async () => {
  const { sent, target } = redelivery([0, 0.5]);
  const messages = [failed('a1', 'a', 3), failed('b1', 'b', 5), failed('a2', 'a', 1)];
  await target.schedule(messages, new AbortController().signal);
  const [entries = []] = sent;
  expect(
    Object.fromEntries(
      entries.map(({ ReceiptHandle, VisibilityTimeout }) => [ReceiptHandle, VisibilityTimeout]),
    ),
  ).toEqual({ a1: 8, a2: 8, b1: 24 });
});

test('a batch without failed messages makes no call', async () => {
  const { sent, target } = redelivery([]);
  await target.schedule([], new AbortController().signal);
  expect(sent).toEqual([]);
});
