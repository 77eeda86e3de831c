import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHints, writeHint } from '../../../shared/population/hints.ts';

const CONFIGURED = { learningRate: 0.01, gradientClipThreshold: 1, ewcLambda: 0.5, priorVariance: 10 };

describe('reading hints from a recommendation', () => {
  it.each([
    ['learning rate to 0.0005', { learningRate: 0.0005 }],
    ['Reduce learning rate to 0.0005', { learningRate: 0.0005 }],
    ['learning_rate=5e-4', { learningRate: 0.0005 }],
    ['learning_rate=0.0005', { learningRate: 0.0005 }],
    ['learning rate of 0.01', { learningRate: 0.01 }],
    ['learningRate: 3e-3, gradientClipThreshold: .5', { learningRate: 0.003, gradientClipThreshold: 0.5 }],
    ['clip threshold: 1e-2', { gradientClipThreshold: 0.01 }],
    ['gradient clipping to 2', { gradientClipThreshold: 2 }],
    ['set the EWC lambda to 0.2.', { ewcLambda: 0.2 }],
    ['prior variance should be 30', { priorVariance: 30 }],
    ['use 0.002 as the learning rate', { learningRate: 0.002 }],
    ['a lower learning rate (0.0005)', { learningRate: 0.0005 }],
    ['learning rate -> 0.3', { learningRate: 0.3 }],
    ['Reduce the learning rate from 0.01 to 0.0005.', { learningRate: 0.0005 }],
    [
      'Set clip threshold to 0.25 and learning rate to 0.125.',
      { gradientClipThreshold: 0.25, learningRate: 0.125 },
    ],
    ['Training diverged, reduce learning rate to 0.001', { learningRate: 0.001 }],
    ['reduce learning rate to 0.001 because 0.1 diverged', { learningRate: 0.001 }],
    ['reduce learning rate to 0.001 to avoid divergence', { learningRate: 0.001 }],
    ['learning rate 0.02. Later: learning rate 0.03', { learningRate: 0.02 }],
  ])('takes the value in %j', (text, hints) => {
    expect(parseHints(text, CONFIGURED)).toEqual(hints);
    expect(parseHints(text.toUpperCase(), CONFIGURED)).toEqual(hints);
  });

  it.each([
    ['reduce learning rate', { learningRate: 0.005 }],
    ['the learning rate should be increased', { learningRate: 0.02 }],
    ['Reduce learning rate by 50%', { learningRate: 0.005 }],
    ['raise the learning rate by 20 %', { learningRate: 0.012 }],
    ['lower the learning rate by a factor of 10', { learningRate: 0.001 }],
    ['Raise learning rate 3x', { learningRate: 0.03 }],
    ['increase clip threshold and reduce learning rate', { gradientClipThreshold: 2, learningRate: 0.005 }],
  ])('takes the direction in %j relative to what is configured', (text, hints) => {
    expect(parseHints(text, CONFIGURED)).toEqual(
      Object.fromEntries(Object.entries(hints).map(([name, value]) => [name, expect.closeTo(value, 12)])),
    );
    expect(parseHints(text)).toEqual({});
  });

  it.each([
    'do not reduce learning rate',
    "don't reduce the learning rate",
    'never set the learning rate to 0.5',
    'Do not, under any circumstances, set the learning rate to 0.5',
    'do not set clip threshold to 2 and learning rate to 0.5',
    'avoid raising the learning rate',
    'learning rate should not be 0.01',
    'no learning rate change',
  ])('respects the negation in %j', (text) => {
    expect(parseHints(text, CONFIGURED)).toEqual({});
  });

  it('continues after the end of a negation', () => {
    expect(parseHints('Do NOT use a learning rate of 0.5. Use 0.05 as learning rate.')).toEqual({
      learningRate: 0.05,
    });
    expect(parseHints('Never reduce learning rate; set clip threshold to 2')).toEqual({
      gradientClipThreshold: 2,
    });
    expect(parseHints('Set learning rate to 0.0005, not 0.01')).toEqual({ learningRate: 0.0005 });
  });

  it.each([
    'learning rate 0.05 diverged',
    'At a learning rate of 0.05, training diverged',
    'learning rate of 0.01 did not work',
  ])('does not recommend what %j blames', (text) => {
    expect(parseHints(text, CONFIGURED)).toEqual({});
  });

  it.each([
    'Strong evidence from 12 patterns',
    'learning rate to 10%',
    'learning rate: NaN',
    'learning rate -0.5',
    'learning rate 1e-4..1e-3',
    'a learning rate between 0.001 and 0.01',
    'slr 5',
    'eclipse threshold 3',
    '',
  ])('finds no value in %j', (text) => {
    expect(parseHints(text, CONFIGURED)).toEqual({});
  });

  it('reads every number back that it has written', () => {
    const values = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(values, values, (rate, clip) => {
        const text = `${writeHint('learningRate', rate)} (3 episodes of 2 users). ${writeHint('gradientClipThreshold', clip)}.`;
        expect(parseHints(text)).toEqual({ learningRate: rate, gradientClipThreshold: clip });
      }),
      { numRuns: 1000 },
    );
  });

  it('reads any text without taking long', () => {
    const fragment = fc.constantFrom(
      'learning rate',
      ' ',
      '(',
      'to ',
      'from ',
      '1',
      '.',
      'e-',
      'not ',
      ', ',
      'reduce ',
      'by ',
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 3000 }), fc.string(), (fragments, noise) => {
        // Of this process, because a busy machine may let it wait.
        const start = process.cpuUsage();
        const hints = parseHints(fragments.join('') + noise, CONFIGURED);
        expect(process.cpuUsage(start).user).toBeLessThan(500_000);
        for (const value of Object.values(hints)) expect(value).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 200 },
    );
  });
});
