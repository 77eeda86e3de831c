import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readTensorItems } from '../../cli/tensor-items.ts';
import { layOutTensors, type NamedTensor } from '../../shared/storage/safetensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'attune-tensor-items-'));
const path = join(folder, 'items.safetensors');
afterAll(() => rmSync(folder, { recursive: true }));

const read = (bytes: Uint8Array | string) => {
  writeFileSync(path, bytes);
  return Array.fromAsync(readTensorItems(path, new AbortController().signal));
};
const ids = JSON.stringify(['a', 'b']);
const embeddings: NamedTensor = { shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) };
const file = (metadata: Record<string, string>, tensors: Record<string, NamedTensor> = { embeddings }) =>
  layOutTensors({ tensors, metadata });

test('a safetensors file larger than what is read at once gives its rows', async () => {
  const values = Float32Array.from({ length: 30_000 * 3 }, (_, i) => i);
  const many = Array.from({ length: 30_000 }, (_, i) => `item ${i} é`);
  const items = await read(
    file({ ids: JSON.stringify(many) }, { embeddings: { shape: [30_000, 3], values } }),
  );
  expect(items).toHaveLength(30_000);
  for (const row of [0, 5_461, 29_999])
    expect(items[row]).toEqual({
      itemId: `item ${row} é`,
      embedding: Float32Array.of(3 * row, 3 * row + 1, 3 * row + 2),
    });
});

test('bfloat16 is the upper half of float32', async () => {
  const header = Buffer.from(
    JSON.stringify({
      __metadata__: { ids: '["a"]', attributes: '[{"year":1}]' },
      embeddings: { dtype: 'BF16', shape: [1, 2], data_offsets: [0, 4] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const halves = Buffer.from(Uint16Array.of(0x3fc0, 0xc000).buffer);
  const items = await read(Buffer.concat([length, header, halves]));
  expect(items).toEqual([{ itemId: 'a', embedding: Float32Array.of(1.5, -2), attributes: { year: 1 } }]);
});

test.each<[string, Uint8Array | string]>([
  ['metadata ids: found nothing, expected a JSON array of 2', file({})],
  ['metadata ids: found 1 entries, expected a JSON array of 2', file({ ids: '["a"]' })],
  ['metadata attributes: found "{", expected a JSON array of 2', file({ ids, attributes: '{' })],
  ['tensor embeddings: found nothing, expected a matrix of F32', file({ ids }, { other: embeddings })],
  [
    'expected a matrix of F32, F16 or BF16 with a row for each item',
    file({ ids }, { embeddings: { shape: [6], values: embeddings.values } }),
  ],
  [
    'found a file that ends within the tensors, expected a whole safetensors file',
    file({ ids }).subarray(0, -9),
  ],
  ['found a header of', '{"itemId":"a","embedding":[1,2,3]}'],
  ['expected a safetensors file', Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('x{')])],
])('%s is said of a wrong file', async (message, bytes) => {
  await expect(read(bytes)).rejects.toThrow(message);
});
