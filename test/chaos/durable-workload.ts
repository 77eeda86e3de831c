import { createWorkload, type Workload, type WorkloadOptions } from './workload.ts';

/**
 * Without poison: a message that is sent twice after a kill would be in quarantine twice, rightly.
 */
export function durableMessages(
  seed: number,
  events: number,
  settings: Pick<WorkloadOptions, 'embeddingDim' | 'embeddingModel'>,
): Workload {
  const { embeddingDim, embeddingModel } = settings;
  const workload = createWorkload({ seed, events, users: 12, embeddingDim, embeddingModel });
  return { ...workload, messages: workload.messages.filter(({ fate }) => typeof fate !== 'object') };
}
