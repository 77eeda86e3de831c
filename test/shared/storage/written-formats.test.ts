import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeAdapter, encodeAdapter } from '../../../shared/adapters/adapter-object.ts';
import { exportPeft, importPeft } from '../../../shared/adapters/peft.ts';
import { PEFT_SAMPLE, VERSION_1 } from './adapter-samples.ts';

/**
 * Files that were written once and are never written again: what users have in S3. When the format changes, its new version gets
 * files and samples of its own, and these stay.
 */
const folder = join(import.meta.dirname, 'written');
const read = (name: string) => readFileSync(join(folder, name));

describe('adapters written by earlier versions', () => {
  it('are all here', () => {
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
