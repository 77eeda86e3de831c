import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeEmbedding,
  type EmbeddingInput,
  encodeEmbedding,
  InvalidEmbeddingError,
} from '../../../shared/feedback/embedding-codec.ts';

function refusal(value: EmbeddingInput, dim?: number): InvalidEmbeddingError {
  try {
    decodeEmbedding(value, dim, 'x');
  } catch (error) {
    if (error instanceof InvalidEmbeddingError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const base64OfBits = (...bits: number[]) => Buffer.from(Uint32Array.from(bits).buffer).toString('base64');

describe('an embedding', () => {
  test('is base64 of little-endian float32', () => {
    expect(encodeEmbedding([1, -2])).toBe(Buffer.from([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]).toString('base64'));
    expect(decodeEmbedding('AACAPwAAAMA=', 2, 'x')).toEqual(Float32Array.of(1, -2));
  });

  test('comes back as it was, to the bit, also from a view into other memory', () => {
    const values = fc.float32Array({ minLength: 1, maxLength: 40, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(values, fc.nat(3), (floats, offset) => {
        const memory = new Float32Array(floats.length + offset);
        memory.set(floats, offset);
        const decoded = decodeEmbedding(encodeEmbedding(memory.subarray(offset)), floats.length, 'x');
        expect(new Uint8Array(decoded.buffer)).toEqual(new Uint8Array(floats.slice().buffer));
      }),
    );
  });

  test('owns its memory', () => {
    const decoded = decodeEmbedding(encodeEmbedding(new Float32Array(16)), 16, 'x');
    expect(decoded.buffer.byteLength).toBe(64);
  });

  test('may be an array of numbers, which are rounded to float32', () => {
    expect(decodeEmbedding([0.1, 2], 2, 'x')).toEqual(Float32Array.of(0.1, 2));
  });

  test.each([
    ['another alphabet', '-_-_-w=='],
    ['white space', 'AACA PwAAAMA='],
    ['missing padding', 'AACAPwAAAMA'],
    ['bits that no byte uses', 'AACAPwAAAMB='],
    ['text after the padding', 'AACAPwAAAMA=AAAA'],
  ])('is refused with %s', (_, text) => {
    expect(refusal(text, 2)).toMatchObject({ reason: 'schema', field: 'x' });
  });

  test('is refused with another length, saying both', () => {
    expect(refusal('AACAPwAAAMA=', 3)).toMatchObject({
      reason: 'dimension',
      message: 'x: found 2 numbers, expected 3 numbers',
    });
    expect(refusal([1, 2], 3).reason).toBe('dimension');
    expect(refusal('AAAA', 3).message).toBe('x: found 3 bytes, expected 3 numbers of 4 bytes');
  });

  test('of a deployment that is not known has 16 to 4096 numbers', () => {
    expect(decodeEmbedding(new Array(16).fill(0), undefined, 'x')).toHaveLength(16);
    expect(decodeEmbedding(new Array(4096).fill(0), undefined, 'x')).toHaveLength(4096);
    expect(refusal(new Array(15).fill(0)).reason).toBe('dimension');
    expect(refusal(new Array(4097).fill(0)).reason).toBe('dimension');
  });

  test.each([
    ['a NaN', 0x7fc00000, 'NaN'],
    ['a signalling NaN', 0x7f800001, 'NaN'],
    ['infinity', 0xff800000, '-Infinity'],
  ])('is refused with the bits of %s', (_, bits, found) => {
    expect(refusal(base64OfBits(0, bits), 2)).toMatchObject({ reason: 'not-finite', field: 'x[1]', found });
  });

  test('is refused with a number that float32 cannot hold', () => {
    expect(refusal([0, 1e39], 2)).toMatchObject({ reason: 'not-finite', field: 'x[1]', found: '1e+39' });
  });

  test('is refused with something else than a number', () => {
    const values: unknown = [0, '1'];
    expect(refusal(values as number[], 2)).toMatchObject({ reason: 'schema', field: 'x[1]', found: '"1"' });
  });
});
