/** How to make a service deliver the event itself instead of an envelope. */
export interface Envelope {
  readonly found: string;
  readonly expected: string;
}

/** The service whose envelope a message is, when its body is not a feedback event itself. */
export function envelopeOf(body: unknown): Envelope | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const message = body as Record<string, unknown>;
  if (message.Type === 'Notification' && typeof message.TopicArn === 'string') {
    return {
      found: 'an SNS notification around the event',
      expected: 'the event itself: turn on raw message delivery for the subscription',
    };
  }
  if (typeof message['detail-type'] === 'string' && 'detail' in message) {
    return {
      found: 'an EventBridge event around the event',
      expected: 'the event itself: set the input path of the target to $.detail',
    };
  }
  const [record] = Array.isArray(message.Records) ? message.Records : [];
  if (Object(record).eventSource === 'aws:s3' || message.Event === 's3:TestEvent') {
    return {
      found: 'an S3 notification, which names an object',
      expected: 'the event itself: read the object and publish its lines',
    };
  }
  return undefined;
}
