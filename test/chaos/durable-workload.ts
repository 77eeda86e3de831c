import { createWorkload, type Workload, type WorkloadOptions } from './workload.ts';

/**
 * Without poison, because a poison message that is sent twice after a kill is correctly in
 * quarantine twice.
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
