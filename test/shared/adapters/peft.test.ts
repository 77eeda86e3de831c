import { describe, expect, it } from 'vitest';
import { exportPeft, importPeft, type PeftFiles } from '../../../shared/adapters/peft.ts';
import { CorruptObjectError, InvalidInputError } from '../../../shared/errors.ts';
import type { LoraAdapter } from '../../../shared/lora/forward.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { layOutTensors, type NamedTensor, readTensors } from '../../../shared/storage/safetensors.ts';

const random = createRandom('peft');
const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
const adapter: LoraAdapter = {
  basis: { embeddingDim: 6, rank: 2, scale: 0.75, a: normals(12) },
  b: normals(12),
  offset: 0.3,
};
const A = 'base_model.model.embedding.lora_A.weight';
const B = 'base_model.model.embedding.lora_B.weight';

function files(tensors: Record<string, NamedTensor>, settings: Record<string, unknown> = {}): PeftFiles {
  const config = { peft_type: 'LORA', r: 2, lora_alpha: 4, ...settings };
  return {
    'adapter_model.safetensors': layOutTensors({ tensors, metadata: { format: 'pt' } }),
    'adapter_config.json': JSON.stringify(config),
  };
}

const matrices = (a = normals(12), b = normals(12)) => ({
  [A]: { shape: [2, 6], values: a },
  [B]: { shape: [6, 2], values: b },
});

describe('exportPeft', () => {
  const written = exportPeft(adapter);

  it("writes A as [r, in] and B as [out, r] under PEFT's names, and nothing else", () => {
    const { tensors, metadata } = readTensors(written['adapter_model.safetensors'], 'file');
    expect(Object.keys(tensors).sort()).toEqual([A, B]);
    expect(tensors[A]).toEqual({ shape: [2, 6], values: adapter.basis!.a });
    expect(tensors[B]).toEqual({ shape: [6, 2], values: adapter.b });
    expect(metadata).toEqual({ format: 'pt' });
  });

  it('writes the scaling as lora_alpha / r', () => {
    const config = JSON.parse(written['adapter_config.json']);
    expect(config).toMatchObject({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 1.5,
      target_modules: ['embedding'],
      use_rslora: false,
      fan_in_fan_out: false,
      bias: 'none',
    });
  });

  it('is read back unchanged', () => {
    expect(importPeft(written)).toEqual({ ...adapter, offset: 0 });
  });

  it('refuses an adapter without a basis', () => {
    expect(() => exportPeft({ basis: null, b: new Float32Array(0), offset: 0 })).toThrow(
      'adapter: found an adapter without a basis',
    );
  });
});

describe('importPeft', () => {
  it('meets a tensor named __proto__ as any other, so that it cannot hide', () => {
    const hiding = JSON.parse('{"__proto__": 0}');
    Object.defineProperty(hiding, '__proto__', { value: matrices()[A], enumerable: true });
    const { tensors } = readTensors(layOutTensors({ tensors: hiding, metadata: {} }), 'file');
    expect(Object.keys(tensors)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(tensors)).toBe(Object.prototype);
  });

  it('reads the scaling as PEFT does, also of rank-stabilised LoRA and of patterns', () => {
    const scale = (settings: Record<string, unknown>) => importPeft(files(matrices(), settings)).basis.scale;
    expect(scale({})).toBe(2);
    expect(scale({ use_rslora: true })).toBeCloseTo(4 / Math.SQRT2, 12);
    expect(scale({ r: 16, rank_pattern: { embedding: 2 } })).toBe(2);
    expect(scale({ alpha_pattern: { other: 9, embedding: 1 } })).toBe(0.5);
    expect(scale({ alpha_pattern: { '^embedding': 32, embedding: 1 } })).toBe(16);
    expect(scale({ alpha_pattern: { 'embed.*': 32 } })).toBe(16);
    expect(scale({ r: 16, rank_pattern: { 'embed(ding)?': 2 } })).toBe(2);
  });

  it('reads all options that PEFT 0.21 saves for plain LoRA', () => {
    const off = { ensure_weight_tying: false, fan_in_fan_out: false, lora_bias: false, use_dora: false };
    const none = {
      alora_invocation_tokens: null,
      arrow_config: null,
      base_model_name_or_path: null,
      corda_config: null,
      eva_config: null,
      exclude_modules: null,
      kasa_config: null,
      layer_replication: null,
      layers_pattern: null,
      layers_to_transform: null,
      lora_ga_config: null,
      megatron_config: null,
      modules_to_save: null,
      monteclora_config: null,
      revision: null,
      target_parameters: null,
      task_type: null,
      trainable_token_indices: null,
      use_bdlora: null,
      velora_config: null,
    };
    const saved = {
      ...off,
      ...none,
      alpha_pattern: {},
      auto_mapping: { base_model_class: 'Identity', parent_library: '__main__' },
      bias: 'none',
      inference_mode: true,
      init_lora_weights: true,
      loftq_config: {},
      lora_dropout: 0,
      megatron_core: 'megatron.core',
      peft_version: '0.21.2',
      qalora_group_size: 16,
      rank_pattern: {},
      target_modules: ['embedding'],
      use_qalora: false,
      use_rslora: false,
    };
    expect(importPeft(files(matrices(), saved)).basis.scale).toBe(2);
  });

  it('reads any single module, with or without an adapter name or prefix in its keys', () => {
    for (const name of ['base_model.model.x.y', 'z']) {
      const tensors = matrices();
      const renamed = {
        [`${name}.lora_A.default.weight`]: tensors[A]!,
        [`${name}.lora_B.weight`]: tensors[B]!,
      };
      expect(importPeft(files(renamed)).b).toEqual(tensors[B]!.values);
    }
  });

  it('reads half precision of both kinds', () => {
    const halves = Float16Array.from({ length: 12 }, (_, i) => i / 8);
    const read = importPeft(files({ ...matrices(), [A]: { shape: [2, 6], values: halves } }));
    expect([...read.basis.a]).toEqual([...halves]);
    expect(importPeft(asBfloat16([1, -2, 0.5, 3])).basis.a).toEqual(Float32Array.of(1, -2));
  });

  it.each<[string, PeftFiles]>([
    [
      'adapter_config.json: found text that is not JSON',
      { ...files(matrices()), 'adapter_config.json': '{' },
    ],
    ['adapter_config.json: peft_type', files(matrices(), { peft_type: 'IA3' })],
    ['adapter_config.json: lora_alpha', files(matrices(), { lora_alpha: 0 })],
    [
      'adapter_model.safetensors: 3 bytes are too few',
      { ...files(matrices()), 'adapter_model.safetensors': new Uint8Array(3) },
    ],
    [
      'which is not a matrix of finite numbers',
      files({ ...matrices(), [A]: { shape: [2, 6], values: normals(12).fill(Number.NaN) } }),
    ],
    [
      'which is not a matrix of finite numbers',
      files({ ...matrices(), [A]: { shape: [12], values: normals(12) } }),
    ],
  ])('reports as corrupt: %s', (message, wrong) => {
    expect(() => importPeft(wrong)).toThrow(CorruptObjectError);
    expect(() => importPeft(wrong)).toThrow(message);
  });

  it.each<[string, PeftFiles]>([
    ['adapter_config.json: use_dora: found true, expected false', files(matrices(), { use_dora: true })],
    ['adapter_config.json: fan_in_fan_out: found true', files(matrices(), { fan_in_fan_out: true })],
    [
      'adapter_config.json: init_lora_weights: found "pissa"',
      files(matrices(), { init_lora_weights: 'pissa' }),
    ],
    [
      'adapter_config.json: init_lora_weights: found "olora"',
      files(matrices(), { init_lora_weights: 'olora' }),
    ],
    ['adapter_config.json: use_qalora: found true, expected false', files(matrices(), { use_qalora: true })],
    [
      'adapter_config.json: alora_invocation_tokens: found [1]',
      files(matrices(), { alora_invocation_tokens: [1] }),
    ],
    ['adapter_config.json: an_option_of_tomorrow: found 3', files(matrices(), { an_option_of_tomorrow: 3 })],
    ['adapter_config.json: constructor: found 3, expected false', files(matrices(), { constructor: 3 })],
    [
      'adapter_config.json: __proto__: found 3, expected false',
      files(matrices(), JSON.parse('{"__proto__": 3}')),
    ],
    ['adapter_config.json: r: found 128, expected at most 64', files(matrices(), { r: 128 })],
    [
      'adapter_config.json: alpha_pattern: found "(?P<x>e)"',
      files(matrices(), { alpha_pattern: { '(?P<x>e)': 1 } }),
    ],
    [
      'adapter_config.json: alpha_pattern: found "embedding\\\\Z", expected a regular expression',
      files(matrices(), { alpha_pattern: { 'embedding\\Z': 1 } }),
    ],
    [
      'adapter_config.json: rank_pattern: found',
      files(matrices(), { rank_pattern: { '(embed)ding\\1?': 1 } }),
    ],
    [
      'found lora_A [2, 6] and lora_B [6, 2], expected [r, d] and [d, r] with r = 3',
      files(matrices(), { r: 3 }),
    ],
    [
      'found lora_A [2, 6] and lora_B [3, 4], expected',
      files({ ...matrices(), [B]: { shape: [3, 4], values: normals(12) } }),
    ],
    ['found modules embedding, expected lora_A and lora_B of one module', files({ [A]: matrices()[A]! })],
    [
      'found modules embedding, other, expected',
      files({ ...matrices(), 'base_model.model.other.lora_A.weight': matrices()[A]! }),
    ],
    ['found modules none', files({})],
    [
      'found the tensor embedding.weight, expected lora_A and lora_B of one module',
      files({ ...matrices(), 'embedding.weight': matrices()[A]! }),
    ],
  ])('refuses: %s', (message, wrong) => {
    expect(() => importPeft(wrong)).toThrow(InvalidInputError);
    expect(() => importPeft(wrong)).toThrow(message);
  });
});

/**
 * A file of A [1, 2] and B [2, 1] in bfloat16, written by hand after the format's specification.
 */
function asBfloat16(values: number[]): PeftFiles {
  const header = JSON.stringify({
    [A]: { dtype: 'BF16', shape: [1, 2], data_offsets: [0, 4] },
    [B]: { dtype: 'BF16', shape: [2, 1], data_offsets: [4, 8] },
  });
  const bytes = Buffer.alloc(8 + header.length + 8);
  bytes.writeBigUInt64LE(BigInt(header.length));
  bytes.write(header, 8);
  const upper = new Uint32Array(Float32Array.from(values).buffer);
  for (const [i, bits] of upper.entries()) bytes.writeUInt16LE(bits >>> 16, 8 + header.length + 2 * i);
  return { ...files({}, { r: 1 }), 'adapter_model.safetensors': bytes };
}
