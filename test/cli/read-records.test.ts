import fc from 'fast-check';
import { expect, it } from 'vitest';
import { recordsOf } from '../../cli/records.ts';

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const textsOf = async (input: string, size: number, maxBytes = 1_000) =>
  (await Array.fromAsync(recordsOf(inChunks(Buffer.from(input), size), maxBytes))).map((record) =>
    typeof record === 'string' ? record : Buffer.from(record).toString(),
  );

it('cuts records at LF with an optional CR before it, wherever chunks end', async () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '\r', '\u2028', '\u2029', '\u0085', 'é', '\ud83d\ude00'),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(text),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 7 }),
      async (records, end, size) => {
        const withoutEnd = records.map((record) => record.replace(/\r+$/, ''));
        expect(await textsOf(withoutEnd.map((record) => record + end).join(''), size)).toEqual(withoutEnd);
      },
    ),
  );
});

it('reads a last record that has no end of line', async () => {
  expect(await textsOf('a\n\nb', 2)).toEqual(['a', '', 'b']);
  expect(await textsOf('', 2)).toEqual([]);
});

it('drops a record that is too long and continues after it', async () => {
  expect(await textsOf(`a\n${'x'.repeat(50)}\nb\n`, 3, 10)).toEqual(['a', 'too-long', 'b']);
});
