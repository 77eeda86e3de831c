import { mergeLora } from '../lora/merge.ts';
import { loraOf, sizeBytesOf, type UserLoRAAdapter } from './adapter.ts';

/**
 * The adapter of user 'merged', version 1, whose function is the weighted mean of the adapters'.
 * @throws InvalidInputError
 */
export function mergeUserAdapters(
  adapters: readonly UserLoRAAdapter[],
  weights: readonly number[] | undefined,
  { now, learningRate }: { now: Date; learningRate: number },
): UserLoRAAdapter {
  const { basis, b, offset } = mergeLora(adapters.map(loraOf), weights);
  const { embeddingDim, rank, scale, a } = basis;
  const matrices = { matrixA: a, matrixB: b };
  const sum = (value: (metadata: UserLoRAAdapter['metadata']) => number) =>
    adapters.reduce((total, { metadata }) => total + value(metadata), 0);
  return {
    userId: 'merged',
    rank,
    ...matrices,
    scalingFactor: adapters[0]?.scalingFactor ?? scale * rank,
    embeddingDim,
    version: 1,
    createdAt: now,
    updatedAt: now,
    fisherInformation: undefined,
    metadata: {
      totalSamples: sum(({ totalSamples }) => totalSamples),
      avgLoss: sum(({ avgLoss }) => avgLoss) / adapters.length,
      learningRate,
      lastTrainedAt: now,
      performance: { avgInferenceMs: 0, sizeBytes: sizeBytesOf(matrices) },
    },
    offset,
  };
}
