import { randomUUID } from 'node:crypto';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { encodeFeedbackEvent, type InteractionInput } from '../../shared/feedback/event.ts';
import { createRandom, type Random } from '../../shared/lora/random.ts';

/** A message as it is put into the queue. */
export interface WorkloadMessage {
  readonly userId: string;
  readonly groupId: string;
  readonly body: string;
  /** Its expected fate: applied, a duplicate, or quarantined with this code. */
  readonly fate: 'applied' | 'duplicate' | { readonly code: string };
  /** Set unless the message is poison. */
  readonly eventId?: string;
}

export interface Workload {
  readonly userIds: readonly string[];
  /** Embeddings of the catalogue, to make a basis from. */
  readonly items: readonly Float32Array[];
  /** In the order of sending. */
  readonly messages: readonly WorkloadMessage[];
}

export interface WorkloadOptions {
  readonly seed: number | string;
  /** Events with an effect; duplicates and poison are additional. */
  readonly events: number;
  readonly users: number;
  readonly embeddingDim: number;
  readonly embeddingModel: string;
}

const ITEMS = 60;
const POISON_SHARE = 0.04;
const DUPLICATE_SHARE = 0.05;

/**
 * Mixed events of many users, with poison and repeated events; the same seed gives the same
 * messages.
 */
export function createWorkload(options: WorkloadOptions): Workload {
  const random = createRandom(`workload ${options.seed}`);
  const items = Array.from({ length: ITEMS }, () => unitVector(random, options.embeddingDim));
  const userIds = Array.from({ length: options.users }, (_, i) => `user ${i} of seed ${options.seed}`);
  const messages: WorkloadMessage[] = [];
  const sent = new Map<string, WorkloadMessage[]>();
  for (let n = 0; n < options.events; n++) {
    const userId = userIds[random.integer(userIds.length)]!;
    const groupId = userKey(userId);
    const eventId = `event ${n}`;
    const interactions = Array.from({ length: 1 + random.integer(3) }, () => interaction(random, items));
    const body = encodeFeedbackEvent({ eventId, userId, occurredAt: '2026-03-01T12:00:00Z', interactions });
    const message: WorkloadMessage = { userId, groupId, body, eventId, fate: 'applied' };
    messages.push(message);
    const earlier = sent.get(groupId) ?? [];
    sent.set(groupId, earlier);
    earlier.push(message);
    if (random.next() < DUPLICATE_SHARE) {
      messages.push({ ...earlier[random.integer(earlier.length)]!, fate: 'duplicate' });
    }
    if (random.next() < POISON_SHARE) {
      messages.push(poison(n, { userId, random, ...options }));
    }
  }
  return { userIds, items, messages };
}

/** One message of every kind that can never be applied. */
export function poisonOfEveryKind(
  userId: string,
  options: Omit<WorkloadOptions, 'users'>,
): WorkloadMessage[] {
  const random = createRandom(`poison ${options.seed}`);
  return POISONS.map((_, kind) => poison(kind, { userId, random, ...options }));
}

interface PoisonContext {
  readonly userId: string;
  readonly random: Random;
  readonly embeddingDim: number;
  readonly embeddingModel: string;
}

/** Every body differs, so that each can be found in quarantine. */
function poison(n: number, context: PoisonContext): WorkloadMessage {
  const [code, make] = POISONS[n % POISONS.length]!;
  const event = {
    schemaVersion: 1,
    eventId: `poison ${n}`,
    userId: context.userId,
    occurredAt: '2026-03-01T12:00:00Z',
    interactions: [{ embedding: encodeEmbedding(new Float32Array(context.embeddingDim).fill(1)), reward: 1 }],
  };
  const made = make(event, context);
  const groupId = code === 'message-group' ? userKey(`not ${context.userId}`) : userKey(context.userId);
  const { userId } = context;
  return { userId, groupId, body: typeof made === 'string' ? made : JSON.stringify(made), fate: { code } };
}

type PoisonEvent = { eventId: string; userId: string; interactions: object[] } & Record<string, unknown>;

const POISONS: readonly [code: string, make: (event: PoisonEvent, context: PoisonContext) => unknown][] = [
  ['not-json', ({ eventId }) => `{"eventId": "${eventId}", `],
  ['schema', (event) => ({ ...event, surprise: true })],
  ['schema', ({ eventId }) => [eventId]],
  ['schema', (event) => JSON.stringify(event).replace('{', '{"__proto__": {"polluted": true}, ')],
  ['schema', (event) => ({ ...event, userId: `control\u0000 ${event.userId}` })],
  ['limit', (event) => ({ ...event, userId: 'u'.repeat(129) })],
  ['limit', (event) => ({ ...event, interactions: [] })],
  ['limit', (event, { embeddingDim: d }) => withInteraction(event, { embedding: zeros(d), reward: 1.5 })],
  ['schema', (event, { embeddingDim: d }) => withInteraction(event, { embedding: zeros(d), reward: '1' })],
  [
    'dimension',
    (event, { embeddingDim: d }) => withInteraction(event, { embedding: zeros(d + 1), reward: 1 }),
  ],
  [
    'not-finite',
    (event, { embeddingDim: d }) =>
      withInteraction(event, {
        embedding: Buffer.from(new Float32Array(d).fill(Number.NaN).buffer).toString('base64'),
        reward: 1,
      }),
  ],
  [
    'not-finite',
    (event, { embeddingDim: d }) =>
      JSON.stringify(withInteraction(event, { embedding: zeros(d), reward: 1 })).replace(
        '"reward":1',
        '"reward":1e999',
      ),
  ],
  ['embedding-model', (event, { embeddingModel }) => ({ ...event, embeddingModel: `not ${embeddingModel}` })],
  ['message-group', (event) => ({ ...event, occurredAt: new Date(0).toISOString() })],
];

function withInteraction(event: PoisonEvent, interaction: object): PoisonEvent {
  return { ...event, interactions: [interaction] };
}

function zeros(length: number): number[] {
  return new Array<number>(length).fill(0);
}

function interaction(random: Random, items: readonly Float32Array[]): InteractionInput {
  const item = random.integer(items.length);
  const known = { itemId: `item ${item}`, embedding: items[item]! };
  const kind = random.next();
  if (kind < 0.1) return { ...known, target: items[random.integer(items.length)]! };
  if (kind < 0.4)
    return { ...known, watch: { completionRate: random.next(), isRewatch: random.next() < 0.1 } };
  return { ...(kind < 0.9 ? known : { embedding: items[item]! }), reward: random.next() };
}

function unitVector(random: Random, length: number): Float32Array {
  const vector = Array.from({ length }, () => random.normal());
  const norm = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => value / norm);
}

/** A message id as SQS gives it. */
export function newMessageId(): string {
  return randomUUID();
}
