/**
 * 64-bit keys as pairs of 32-bit numbers, which are faster to compare than 64-bit integers. Platforms
 * are little-endian, so the lower half comes first.
 */
export function halvesOf(keys: BigUint64Array): Uint32Array {
  return new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
}
