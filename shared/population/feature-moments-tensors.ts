import type { FeatureMoments } from '../lora/feature-moments.ts';
import { packedLength } from '../lora/symmetric.ts';
import type { NamedTensor } from '../storage/safetensors.ts';
import type { TensorReader } from '../storage/tensor-document.ts';

/** A mean and a covariance as two tensors, `<name>.mean` and `<name>.covariance`. */
export function momentsTensors(
  name: string,
  { mean, covariance }: FeatureMoments,
): Record<string, NamedTensor> {
  return {
    [`${name}.mean`]: { shape: [mean.length], values: mean },
    [`${name}.covariance`]: { shape: [covariance.length], values: covariance },
  };
}

/**
 * @param size length of the mean
 * @returns undefined when there are no such tensors
 * @throws CorruptObjectError when they have another shape
 */
export function readMoments(reader: TensorReader, name: string, size: number): FeatureMoments | undefined {
  if (!reader.has(`${name}.mean`)) return undefined;
  return {
    mean: reader.read(`${name}.mean`, Float64Array, [size]),
    covariance: reader.read(`${name}.covariance`, Float64Array, [packedLength(size)]),
  };
}
