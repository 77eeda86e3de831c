import { contextOf, userOfTask } from '../episodes/adaptation-context.ts';

/** The usable part of a pattern from any bank. */
export interface RecalledPattern {
  readonly task: string;
  readonly success: boolean;
  readonly reward: number;
  readonly pattern: Readonly<Record<string, unknown>>;
}

/** Training of another adapter, and its success. Numbers that the pattern lacks are null. */
export interface SimilarAdaptation {
  /** The user id, or the user key when the bank keeps only that. */
  readonly userId: string;
  readonly rank: number | null;
  readonly avgLoss: number | null;
  readonly reward: number;
  readonly learningRate: number | null;
}

/** The patterns in a bank's answer; malformed ones are skipped one by one. */
export function readPatterns(answer: unknown): RecalledPattern[] {
  if (!Array.isArray(answer)) return [];
  return answer.flatMap((entry: unknown) => {
    const pattern = recordOf(entry);
    const task = pattern?.task;
    const reward = pattern?.reward;
    if (pattern === undefined || typeof task !== 'string' || !isFraction(reward)) return [];
    return { task, reward, success: pattern.success === true, pattern };
  });
}

/**
 * The adaptation that a pattern describes: from its own fields, its task, or the JSON of its input
 * and output. Undefined when it names no user.
 */
export function similarAdaptation({ task, reward, pattern }: RecalledPattern): SimilarAdaptation | undefined {
  const input = parseRecord(pattern.input);
  const output = parseRecord(pattern.output);
  const sources = [
    pattern.hyperparameters,
    pattern.outcome,
    pattern.context,
    output,
    input,
    output.metadata,
    pattern,
  ];
  const told = (...names: string[]) => {
    for (const source of sources) {
      const record = recordOf(source) ?? {};
      const value = names.map((name) => record[name]).find((found) => typeof found === 'number');
      if (typeof value === 'number' && Number.isFinite(value)) return value;
    }
    return null;
  };
  const userId = [userOfTask(task), pattern.userId, input.userId, pattern.userKey].find(
    (id) => typeof id === 'string' && id !== '',
  );
  if (typeof userId !== 'string') return undefined;
  return {
    userId,
    rank: contextOf(task).rank ?? told('rank'),
    avgLoss: told('avgLoss', 'averageLoss', 'loss', 'finalLoss'),
    reward,
    learningRate: told('learningRate'),
  };
}

/**
 * A copy of an object's own properties; undefined for anything else, and for an object that throws
 * when it is read.
 */
export function recordOf(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return attempt(() => ({ ...value }));
}

function parseRecord(text: unknown): Record<string, unknown> {
  if (typeof text !== 'string') return recordOf(text) ?? {};
  return attempt(() => recordOf(JSON.parse(text))) ?? {};
}

function isFraction(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
