import type { ShardFeatures } from './features.ts';
import { type PackedFeatures, scanKernel, unpackRow } from './scan-kernel.ts';

/** A shard's features in memory: for the kernel if possible, otherwise as stored. */
export type LoadedFeatures = ShardFeatures | PackedFeatures;

export function loadedFeatures(features: ShardFeatures): LoadedFeatures {
  return scanKernel?.adopt(features) ?? features;
}

/** Writes the stored numbers of an item's features to the start of `out`. */
export function storedRow(features: LoadedFeatures, row: number, out: Float64Array): void {
  if ('bytes' in features) {
    unpackRow(features, row, out);
    return;
  }
  const p = features.scales.length;
  for (let j = 0, at = row * p; j < p; j++, at++) out[j] = features.values[at]!;
}

/** ψ of an item, with the offset. */
export function psiOf(features: LoadedFeatures, row: number): Float64Array {
  const { scales } = features;
  const psi = new Float64Array(scales.length + 1);
  storedRow(features, row, psi);
  for (let j = 0; j < scales.length; j++) psi[j]! *= scales[j]!;
  psi[scales.length] = 1;
  return psi;
}
