import { describe, expect, it } from 'vitest';
import { parseFeedbackEvent } from '../../../shared/feedback/event.ts';

const deployment = { embeddingDim: 16, embeddingModel: 'm' };
const event = {
  schemaVersion: 1,
  eventId: 'e',
  userId: 'ada',
  occurredAt: '2026-01-31T12:00:00Z',
  interactions: [{ itemId: 'i', embedding: new Array(16).fill(1), reward: 1 }],
};
const parse = (body: unknown) => parseFeedbackEvent(JSON.stringify(body), deployment);

describe('a feedback event inside an envelope', () => {
  it.each([
    [
      'SNS',
      { Type: 'Notification', TopicArn: 'arn:aws:sns:us-east-1:1:t', Message: JSON.stringify(event) },
      'found an SNS notification around the event, expected the event itself: turn on raw message delivery',
    ],
    [
      'EventBridge',
      { version: '0', source: 'app', 'detail-type': 'Feedback', detail: event },
      'found an EventBridge event around the event, expected the event itself: set the input path of the target to $.detail',
    ],
    [
      'S3',
      { Records: [{ eventSource: 'aws:s3', s3: { object: { key: 'k' } } }] },
      'found an S3 notification, which names an object',
    ],
    ['S3 on set-up', { Service: 'Amazon S3', Event: 's3:TestEvent' }, 'found an S3 notification'],
  ])('is refused with the name of its service: %s', (_, body, message) => {
    expect(() => parse(body)).toThrow(message);
    expect(() => parse(body)).toThrow(expect.objectContaining({ reason: 'envelope' }));
  });

  it('is read without an envelope', () => {
    expect(parse(event)).toMatchObject({ userId: 'ada' });
  });
});
