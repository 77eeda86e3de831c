import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeAdapter, encodeAdapter } from '../../../shared/adapters/adapter-object.ts';
import { exportPeft, importPeft } from '../../../shared/adapters/peft.ts';
import { fromItem, type Item, toItem } from '../../../shared/episodes/episode-item.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import { decodeBasis, encodeBasis } from '../../../shared/population/basis-object.ts';
import { decodeBasisSample, encodeBasisSample } from '../../../shared/population/basis-sample-object.ts';
import {
  decodePopulationModel,
  encodePopulationModel,
} from '../../../shared/population/population-model-object.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';
import { PEFT_SAMPLE, VERSION_1 } from './adapter-samples.ts';
import {
  BASIS_SAMPLE_VERSION_1,
  BASIS_VERSION_1,
  EPISODE_VERSION_1,
  POPULATION_VERSION_1,
} from './population-samples.ts';

/**
 * Files in the form of users' data in S3, written once and never again. A new version of a format
 * gets its own files and samples, and these stay.
 */
const folder = join(import.meta.dirname, 'written');
const read = (name: string) => readFileSync(join(folder, name));

describe('adapters written by earlier versions', () => {
  it('have a file in this folder for every format', () => {
    const names = readdirSync(folder).filter((name) => name.startsWith('adapter-'));
    expect(names.sort()).toEqual(
      Object.keys(VERSION_1)
        .map((name) => `${name}.safetensors`)
        .sort(),
    );
  });

  it.each(Object.entries(VERSION_1))('%s reads as it was', (name, adapter) => {
    expect(decodeAdapter(read(`${name}.safetensors`), name)).toEqual(adapter);
  });

  it.each(Object.entries(VERSION_1))('%s is what this version writes', (name, adapter) => {
    expect(Buffer.compare(encodeAdapter(adapter), read(`${name}.safetensors`))).toBe(0);
  });
});

describe('an adapter written for PEFT', () => {
  const files = {
    'adapter_model.safetensors': read('peft/adapter_model.safetensors'),
    'adapter_config.json': read('peft/adapter_config.json').toString(),
  };

  it('reads as it was, and is what this version writes', () => {
    expect(importPeft(files)).toEqual(PEFT_SAMPLE);
    const written = exportPeft(PEFT_SAMPLE);
    expect(written['adapter_config.json']).toBe(files['adapter_config.json']);
    expect(Buffer.compare(written['adapter_model.safetensors'], files['adapter_model.safetensors'])).toBe(0);
  });
});

describe('objects that all users share, written by earlier versions', () => {
  const objects = [
    ['basis-v1.safetensors', BASIS_VERSION_1, decodeBasis, encodeBasis],
    ['basis-sample-v1.safetensors', BASIS_SAMPLE_VERSION_1, decodeBasisSample, encodeBasisSample],
    ['skills-v1.safetensors', POPULATION_VERSION_1, decodePopulationModel, encodePopulationModel],
  ] as const;

  it.each(objects)('%s reads as it was', (name, value, decode) => {
    expect(decode(read(name), name)).toEqual(value);
  });

  it.each(objects)('%s is what this version writes', (name, value, _, encode) => {
    expect(Buffer.compare((encode as (given: unknown) => Uint8Array)(value), read(name))).toBe(0);
  });
});

describe('episodes written by earlier versions', () => {
  const item = JSON.parse(read('episode-item-v1.json').toString(), (name, value) =>
    name === 'B' ? new Uint8Array(Buffer.from(value, 'base64')) : value,
  ) as Item;

  it('read from the table as they were, and are what this version writes', () => {
    expect(fromItem(item)).toEqual(EPISODE_VERSION_1);
    const written = JSON.stringify(toItem(EPISODE_VERSION_1, 1_700_000_002_000, 90), (_, value) =>
      value instanceof Uint8Array || value?.type === 'Buffer'
        ? Buffer.from(value.data ?? value).toString('base64')
        : value,
    );
    expect(JSON.parse(written)).toEqual(JSON.parse(read('episode-item-v1.json').toString()));
  });

  it('read from pending/ as they were, and are what this version writes', async () => {
    const objects = new MemoryObjects();
    const pending = new PendingEpisodes(objects);
    await pending.put(EPISODE_VERSION_1);
    const key = `pending/${EPISODE_VERSION_1.userKey}/12`;
    expect(Buffer.from(objects.contents.get(key)!.body).toString()).toBe(read('pending-v1.json').toString());
    const [found] = await Array.fromAsync(pending.list());
    expect(found).toEqual({ key, episode: EPISODE_VERSION_1 });
  });
});
