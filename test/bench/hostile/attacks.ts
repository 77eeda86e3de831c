import type { FeedbackEvent, Interaction } from '../../../shared/feedback/event.ts';
import { createRandom } from '../../../shared/lora/random.ts';

export type Items = ReadonlyMap<string, Float32Array>;
type Random = ReturnType<typeof createRandom>;

/** What hostile users know when they act, besides their own honest opinion. */
export interface Scene {
  readonly items: Items;
  /** Ids of all items. */
  readonly itemIds: readonly string[];
  /** The item that those attack who concentrate on one. */
  readonly victim: string;
}

type Rewarded = Extract<Interaction, { readonly reward: number }>;

/** What a hostile user publishes in place of one honest interaction. */
type Lie = (honest: Rewarded, scene: Scene, random: Random) => readonly Interaction[];

/**
 * So many times the item's embedding: nearly the longest target that is accepted, in the wrong
 * direction.
 */
const EXTREME = -3.9;
/** Picks of a user who picks everything, for each honest one. */
const EVERYTHING = 10;

const aimed: Lie = (honest, _, random) =>
  random.next() < 0.5
    ? [honest]
    : [
        withTarget(
          honest,
          honest.embedding.map((value) => EXTREME * value),
        ),
      ];

/** Lies about rewards, where users rate. */
export const REWARD_ATTACKS = {
  inverting: (honest) => [{ ...honest, reward: 1 - honest.reward }],
  random: (honest, _, random) => [{ ...honest, reward: random.next() }],
  'all 0': (honest) => [{ ...honest, reward: 0 }],
  'all 1': (honest) => [{ ...honest, reward: 1 }],
  'extreme targets': aimed,
  'concentrated on one item': (_, scene) => [{ ...interactionWith(scene.victim, scene), reward: 0 }],
} satisfies Record<string, Lie>;

/** Lies about picks, where all rewards are 1. */
export const PICK_ATTACKS = {
  inverting: ({ embedding }, scene) => [
    { ...interactionWith(leastLike(embedding, scene), scene), reward: 1 },
  ],
  random: (_, scene, random) => [anyPick(scene, random)],
  'all 0': (honest) => [{ ...honest, reward: 0 }],
  'all 1': (honest, scene, random) => [
    honest,
    ...Array.from({ length: EVERYTHING - 1 }, () => anyPick(scene, random)),
  ],
  'extreme targets': aimed,
  'concentrated on one item': (_, scene) => [{ ...interactionWith(scene.victim, scene), reward: 1 }],
} satisfies Record<keyof typeof REWARD_ATTACKS, Lie>;

/**
 * `none`: all are honest. `silent`: hostile users publish nothing. `mixed`: each has one of the
 * attacks.
 */
export type Attack = keyof typeof REWARD_ATTACKS | 'mixed' | 'silent' | 'none';

export const ATTACKS: readonly Attack[] = [
  'none',
  'silent',
  ...(Object.keys(REWARD_ATTACKS) as (keyof typeof REWARD_ATTACKS)[]),
  'mixed',
];

/** One user in so many is hostile. */
const HOSTILE = 20;

/** The hostile users, in a random order. */
export function hostileUsers(userIds: readonly string[], seed: number): readonly string[] {
  return createRandom(`hostile ${seed}`)
    .shuffle(userIds.toSorted())
    .slice(0, Math.ceil(userIds.length / HOSTILE));
}

/**
 * The event that a user publishes under an attack instead of the honest one; undefined for none.
 * @param hostile users; under `mixed`, each plays the next attack
 */
export function published(
  event: FeedbackEvent,
  attack: Attack,
  { hostile, scene, lies }: { hostile: readonly string[]; scene: Scene; lies: Readonly<Record<string, Lie>> },
): FeedbackEvent | undefined {
  const number = hostile.indexOf(event.userId);
  if (number === -1 || attack === 'none') return event;
  if (attack === 'silent') return undefined;
  const all = Object.values(lies);
  const lie = attack === 'mixed' ? all[number % all.length]! : lies[attack]!;
  const random = createRandom(`lie ${event.eventId}`);
  return {
    ...event,
    interactions: event.interactions.flatMap((each) =>
      each.reward === undefined ? [each] : lie(each, scene, random),
    ),
  };
}

function withTarget({ itemId, embedding }: Rewarded, target: Float32Array): Interaction {
  return { ...(itemId === undefined ? {} : { itemId }), embedding, target };
}

function anyPick(scene: Scene, random: Random): Interaction {
  return { ...interactionWith(scene.itemIds[random.integer(scene.itemIds.length)]!, scene), reward: 1 };
}

function interactionWith(itemId: string, { items }: Scene): { itemId: string; embedding: Float32Array } {
  return { itemId, embedding: items.get(itemId)! };
}

function leastLike(embedding: Float32Array, { items, itemIds }: Scene): string {
  let least = itemIds[0]!;
  let smallest = Number.POSITIVE_INFINITY;
  for (const id of itemIds) {
    const other = items.get(id)!;
    let product = 0;
    let square = 0;
    for (let i = 0; i < other.length; i++) {
      product += embedding[i]! * other[i]!;
      square += other[i]! * other[i]!;
    }
    const likeness = square === 0 ? 0 : product / Math.sqrt(square);
    if (likeness < smallest) [smallest, least] = [likeness, id];
  }
  return least;
}
