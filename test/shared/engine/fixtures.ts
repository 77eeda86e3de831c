import type { AdapterFeedback } from '../../../shared/engine/feedback.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import type { ReasoningBankInstance } from '../../../shared/reasoning-bank/bank.ts';

export { createRandom };
export type Random = ReturnType<typeof createRandom>;

export function embeddingOf(random: Random, length = 64): Float32Array {
  return Float32Array.from({ length }, () => random.normal() / Math.sqrt(length));
}

export function feedbackOf(random: Random, count: number, length = 64): AdapterFeedback[] {
  return Array.from({ length: count }, () => ({
    contentEmbedding: embeddingOf(random, length),
    reward: random.next(),
  }));
}

/** A bank that counts its calls and gives scripted answers. */
export class ScriptedBank implements ReasoningBankInstance {
  readonly stored: Parameters<ReasoningBankInstance['storePattern']>[0][] = [];
  readonly queries: [string, unknown][] = [];
  readonly tasks: string[] = [];
  readonly consolidations: unknown[][] = [];
  patterns: unknown = [];
  strategy: unknown = {};
  summary: unknown = { skillsCreated: 3 };
  answer: () => Promise<void> = async () => {};

  async storePattern(pattern: Parameters<ReasoningBankInstance['storePattern']>[0]): Promise<number> {
    await this.answer();
    return this.stored.push(pattern);
  }

  async retrievePatterns(query: string, options?: unknown): Promise<unknown> {
    this.queries.push([query, options]);
    await this.answer();
    return this.patterns;
  }

  async learnStrategy(task: string): Promise<unknown> {
    this.tasks.push(task);
    await this.answer();
    return this.strategy;
  }

  async autoConsolidate(...args: unknown[]): Promise<unknown> {
    this.consolidations.push(args);
    await this.answer();
    return this.summary;
  }
}
