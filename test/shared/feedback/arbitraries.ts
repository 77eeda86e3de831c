import fc from 'fast-check';
import type { FeedbackEventInput, InteractionInput } from '../../../shared/feedback/event.ts';

export const DIM = 16;
export const DEPLOYMENT = { embeddingDim: DIM, embeddingModel: 'default' };

/**
 * Ids of any Unicode that is allowed: no control characters, no lone surrogates, 1 to 128 code
 * points.
 */
export const id = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 128 })
  .filter((text) => /^[^\p{Cc}]+$/u.test(text) && text.isWellFormed());

export const embedding = fc.float32Array({
  minLength: DIM,
  maxLength: DIM,
  noNaN: true,
  noDefaultInfinity: true,
});

const unit = fc.double({ min: 0, max: 1, noNaN: true });

const feedback = fc.oneof(
  fc.record({ reward: unit }),
  fc.record({
    watch: fc.record(
      { completionRate: unit, rating: fc.double({ min: 0, max: 5, noNaN: true }), isRewatch: fc.boolean() },
      { requiredKeys: ['completionRate'] },
    ),
  }),
  fc.record({ target: embedding }),
);

/** Whether the target is more than four times as long as its item. */
function isOutOfProportion(item: Float32Array, target: Float32Array = item): boolean {
  return Math.hypot(...item) > 0 && Math.hypot(...target) > 4 * Math.hypot(...item);
}

const interaction: fc.Arbitrary<InteractionInput> = fc
  .tuple(
    fc.record({ itemId: id, recommendationId: id, embedding }, { requiredKeys: ['embedding'] }),
    feedback,
  )
  .map(([item, outcome]): InteractionInput => ({ ...item, ...outcome }))
  .filter(
    ({ embedding: x, target: t }) => !isOutOfProportion(x as Float32Array, t as Float32Array | undefined),
  );

const occurredAt = fc
  .tuple(
    fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }),
    fc.constantFrom('Z', '+02:00', '-11:30'),
  )
  .map(([date, offset]) => date.toISOString().replace('Z', offset));

export const event: fc.Arbitrary<FeedbackEventInput> = fc.record(
  {
    eventId: id,
    userId: id,
    occurredAt,
    embeddingModel: fc.constant('default'),
    interactions: fc.array(interaction, { minLength: 1, maxLength: 5 }),
  },
  { requiredKeys: ['eventId', 'userId', 'occurredAt', 'interactions'] },
);
