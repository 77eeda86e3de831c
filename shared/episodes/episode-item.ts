import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { TABLE } from '../config/names.ts';
import { CorruptObjectError } from '../errors.ts';
import {
  type Episode,
  packAttributions,
  packCorrections,
  packEmbedding,
  packResiduals,
  type Report,
  type TasteOutcome,
  unpackAttributions,
  unpackCorrections,
  unpackEmbedding,
  unpackResiduals,
} from './episode.ts';
import { expiryOf, identityOf, isNewcomer, positionOf, shardKey, shardOf } from './episode-index.ts';

/** An item of the table; docs/reasoning-bank.md explains access patterns and sizes. */
export type Item = Record<string, AttributeValue>;

const USER = 'USER#';
const EPISODE = 'EPISODE#';
const VERSION_DIGITS = 10;

/** Partition of the table that holds all items of a user. */
export function userPartition(userKey: string): string {
  return `${USER}${userKey}`;
}

/** Whether an item of a user's partition is an episode. */
export function isEpisode(item: Item): boolean {
  return text(item, TABLE.sortKey).startsWith(EPISODE);
}

/** Versions sort as numbers do. */
function episodeKey(episode: Episode): Item {
  const [version = '', ...id] = identityOf(episode).split('#');
  return {
    [TABLE.partitionKey]: { S: userPartition(episode.userKey) },
    [TABLE.sortKey]: { S: `${EPISODE}${[version.padStart(VERSION_DIGITS, '0'), ...id].join('#')}` },
  };
}

/**
 * @param storedAt epoch milliseconds; orders the indexes, so that an episode stored late is not
 * behind a watermark
 */
export function toItem(episode: Episode, storedAt: number, ttlDays: number): Item {
  const { userKey, context, outcome, residuals, embeddings, hyperparameters, heldOut, report } = episode;
  const { attributions } = episode;
  const shard = shardKey(episode.cell, shardOf(userKey));
  const item: Item = {
    ...episodeKey(episode),
    [TABLE.byCell.partitionKey]: { S: shard },
    [TABLE.byCell.sortKey]: { S: positionOf(episode, storedAt) },
    [TABLE.expiresAt]: number(expiryOf(storedAt, ttlDays)),
    committedAt: number(episode.committedAt),
    events: number(context.events),
    interactions: number(context.interactions),
    samplesSeen: number(context.samplesSeen),
    skillsVersion: number(context.skillsVersion),
    rewards: number(outcome.rewards),
    meanReward: number(outcome.meanReward),
    loss: number(outcome.loss),
    lossWithoutAdapter: number(outcome.lossWithoutAdapter),
    lossOfWarmStart: number(outcome.lossOfWarmStart),
  };
  if (outcome.taste !== undefined) item.taste = { S: JSON.stringify(outcome.taste) };
  if (residuals.length > 0) item.residuals = { B: packResiduals(residuals) };
  if (episode.corrections !== undefined) item.corrections = { B: packCorrections(episode.corrections) };
  if (attributions !== undefined) item.attributions = { S: packAttributions(attributions) };
  if (embeddings !== undefined) {
    item.embeddings = { L: embeddings.map((embedding) => ({ B: packEmbedding(embedding) })) };
  }
  if (hyperparameters !== undefined) item.hyperparameters = { S: JSON.stringify(hyperparameters) };
  if (heldOut) item.heldOut = { BOOL: true };
  if (report !== undefined) item.report = { S: JSON.stringify(report) };
  if (isNewcomer(episode)) item[TABLE.newcomers.partitionKey] = { S: shard };
  return item;
}

/** @throws CorruptObjectError naming the item's key */
export function fromItem(item: Item): Episode {
  const key = `${text(item, TABLE.partitionKey)} ${text(item, TABLE.sortKey)}`;
  const read = (name: string): number => {
    const value = Number(item[name]?.N);
    if (Number.isFinite(value)) return value;
    throw new CorruptObjectError(key, `attribute ${name}: found no number, expected a number`);
  };
  const unpack = <T>(name: string, value: () => T): T => {
    try {
      return value();
    } catch (cause) {
      throw new CorruptObjectError(key, `attribute ${name}: found an unreadable value`, { cause });
    }
  };
  const parse = <T extends object>(name: string) => unpack(name, () => JSON.parse(text(item, name)) as T);
  const shard = text(item, TABLE.byCell.partitionKey);
  const embeddings = item.embeddings?.L;
  return {
    userKey: userOf(item),
    version: Number(text(item, TABLE.sortKey).slice(EPISODE.length, EPISODE.length + VERSION_DIGITS)),
    cell: shard.slice(0, shard.lastIndexOf('#')),
    committedAt: read('committedAt'),
    context: {
      events: read('events'),
      interactions: read('interactions'),
      samplesSeen: read('samplesSeen'),
      skillsVersion: read('skillsVersion'),
    },
    outcome: {
      rewards: read('rewards'),
      meanReward: read('meanReward'),
      loss: read('loss'),
      lossWithoutAdapter: read('lossWithoutAdapter'),
      lossOfWarmStart: read('lossOfWarmStart'),
      ...(item.taste === undefined ? {} : { taste: parse<TasteOutcome>('taste') }),
    },
    residuals: unpack('residuals', () => unpackResiduals(item.residuals?.B ?? new Uint8Array())),
    ...(item.corrections === undefined
      ? {}
      : {
          corrections: unpack('corrections', () =>
            unpackCorrections(item.corrections?.B ?? new Uint8Array()),
          ),
        }),
    ...(item.attributions === undefined
      ? {}
      : { attributions: unpack('attributions', () => unpackAttributions(text(item, 'attributions'))) }),
    ...(embeddings === undefined
      ? {}
      : {
          embeddings: unpack('embeddings', () =>
            embeddings.map(({ B = new Uint8Array() }) => unpackEmbedding(B)),
          ),
        }),
    ...(item.hyperparameters === undefined ? {} : { hyperparameters: parse('hyperparameters') }),
    ...(item.heldOut?.BOOL ? { heldOut: true } : {}),
    ...(item.report === undefined ? {} : { report: parse<Report>('report') }),
  };
}

/** User key of an episode or of a row of an index. */
export function userOf(item: Item): string {
  return text(item, TABLE.partitionKey).slice(USER.length);
}

/** User key of an item of a user's partition; undefined for items of a cell. */
export function userOfItem(item: Item): string | undefined {
  return text(item, TABLE.partitionKey).startsWith(USER) ? userOf(item) : undefined;
}

export function text(item: Item, attribute: string): string {
  return item[attribute]?.S ?? '';
}

/** Magnitudes that DynamoDB accepts. One number outside makes it refuse the whole item. */
const DYNAMODB_NUMBER = { smallest: 1e-130, largest: 9.9e125 } as const;

/**
 * A number as DynamoDB stores it: 0 for magnitudes below its range, the nearest bound for those
 * above.
 * @throws RangeError when the value is not finite, because DynamoDB has no such numbers
 */
export function number(value: number): AttributeValue {
  if (!Number.isFinite(value))
    throw new RangeError(`found ${value}, expected a finite number, because DynamoDB has no others`);
  const { smallest, largest } = DYNAMODB_NUMBER;
  const stored = Math.abs(value) < smallest ? 0 : Math.min(largest, Math.max(-largest, value));
  return { N: String(stored) };
}
