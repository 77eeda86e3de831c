import * as z from 'zod';
import { CorruptObjectError, InvalidInputError, shown } from '../errors.ts';
import type { DownProjection } from '../lora/basis.ts';
import type { LoraAdapter } from '../lora/forward.ts';
import { layOutTensors, readTensors, type TensorFile } from '../storage/safetensors.ts';
import { parseStored } from '../validation/faults.ts';

/** The two files of a LoRA adapter in Hugging Face PEFT. */
export interface PeftFiles {
  readonly 'adapter_model.safetensors': Uint8Array;
  readonly 'adapter_config.json': string;
}

/** Name of the adapted module in PEFT's tensor names: one linear layer over a user's embeddings. */
const MODULE = 'embedding';
const PREFIX = 'base_model.model.';
const KEY = /^(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/;

/**
 * Options that never change what the saved matrices compute. `qalora_group_size` counts only with
 * `use_qalora`, which is refused.
 */
const HARMLESS: ReadonlySet<string> = new Set([
  'auto_mapping',
  'base_model_name_or_path',
  'exclude_modules',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'lora_dropout',
  'peft_version',
  'qalora_group_size',
  'revision',
  'target_modules',
  'task_type',
]);
/** Options with their values that are plain LoRA. */
const ALLOWED: ReadonlyMap<string, readonly unknown[]> = new Map<string, readonly unknown[]>([
  ['bias', ['none']],
  ['init_lora_weights', [true, false, 'gaussian']],
  ['megatron_core', ['megatron.core']],
]);
const MAX_RANK = 64;

const config = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().min(1),
  lora_alpha: z.number().positive(),
  use_rslora: z.boolean().nullish(),
  fan_in_fan_out: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
  rank_pattern: z.record(z.string(), z.number()).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
});

/**
 * Writes the adapter for PEFT's `PeftModel.from_pretrained` and `set_peft_model_state_dict`. It
 * adapts a module named `embedding`, a linear layer of d in and d out: the identity, because PEFT's
 * LoraLayer computes W·x + (lora_alpha/r)·B·A·x and Attune y = x + s·B·A·x. PEFT has no place for
 * the user's offset.
 * @throws InvalidInputError when the adapter has no basis yet
 */
export function exportPeft({ basis, b }: LoraAdapter): PeftFiles {
  if (basis === null)
    throw new InvalidInputError('adapter', 'an adapter without a basis', 'matrices A and B');
  const { embeddingDim: d, rank: r, scale, a } = basis;
  const model = layOutTensors({
    tensors: {
      [`${PREFIX}${MODULE}.lora_A.weight`]: { shape: [r, d], values: a },
      [`${PREFIX}${MODULE}.lora_B.weight`]: { shape: [d, r], values: b },
    },
    metadata: { format: 'pt' },
  });
  const settings = {
    auto_mapping: null,
    base_model_name_or_path: null,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: scale * r,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r,
    target_modules: [MODULE],
    task_type: null,
    use_dora: false,
    use_rslora: false,
  };
  return {
    'adapter_model.safetensors': model,
    'adapter_config.json': `${JSON.stringify(settings, null, 2)}\n`,
  };
}

/**
 * Reads an adapter from PEFT's files. They must hold one LoRA module of d in and d out. Its scaling
 * is lora_alpha/r, or lora_alpha/√r with `use_rslora` (Kalajdzievski 2023). Reads float32, float16
 * and bfloat16.
 * @throws CorruptObjectError when a file is malformed; InvalidInputError when the adapter is not of
 * the form y = x + s·B·A·x
 */
export function importPeft(files: PeftFiles): LoraAdapter & { readonly basis: DownProjection } {
  const settings = readConfig(files['adapter_config.json']);
  const file = readTensors(files['adapter_model.safetensors'], 'adapter_model.safetensors');
  const { a, b, module } = findModule(file);
  const rank = patternOf('rank_pattern', settings.rank_pattern, module) ?? settings.r;
  const alpha = patternOf('alpha_pattern', settings.alpha_pattern, module) ?? settings.lora_alpha;
  const embeddingDim = a.shape[1]!;
  if (a.shape[0] !== rank || b.shape[0] !== embeddingDim || b.shape[1] !== rank) {
    throw new InvalidInputError(
      'adapter_model.safetensors',
      `lora_A [${a.shape.join(', ')}] and lora_B [${b.shape.join(', ')}]`,
      `[r, d] and [d, r] with r = ${rank}`,
    );
  }
  const scale = alpha / (settings.use_rslora === true ? Math.sqrt(rank) : rank);
  return { basis: { embeddingDim, rank, scale, a: a.values }, b: b.values, offset: 0 };
}

function readConfig(text: string): z.output<typeof config> {
  const key = 'adapter_config.json';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CorruptObjectError(key, 'found text that is not JSON, expected JSON', { cause });
  }
  const parsed = parseStored(config, json, key);
  // Reads the text itself, because a parsed object has lost an option named __proto__.
  for (const [option, value] of Object.entries(json as object)) {
    if (Object.hasOwn(config.shape, option) && option !== 'use_dora' && option !== 'fan_in_fan_out') continue;
    if (HARMLESS.has(option) || isOff(value) || ALLOWED.get(option)?.includes(value)) continue;
    throw new InvalidInputError(
      `${key}: ${option}`,
      shown(value),
      ALLOWED.get(option)?.map(shown).join(' or ') ?? 'false',
    );
  }
  if (parsed.r > MAX_RANK) throw new InvalidInputError(`${key}: r`, String(parsed.r), `at most ${MAX_RANK}`);
  return parsed;
}

/** Whether an option is switched off: null, false, or an empty collection. */
function isOff(value: unknown): boolean {
  return value === null || value === false || (typeof value === 'object' && Object.keys(value!).length === 0);
}

interface Float32Tensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

function findModule({ tensors }: TensorFile): { a: Float32Tensor; b: Float32Tensor; module: string } {
  const found = new Map<string, { A?: Float32Tensor; B?: Float32Tensor }>();
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    const [, module, side] = KEY.exec(name) ?? [];
    if (module === undefined || (side !== 'A' && side !== 'B')) {
      throw new InvalidInputError(
        'adapter_model.safetensors',
        `the tensor ${name}`,
        'lora_A and lora_B of one module',
      );
    }
    const floats = values instanceof Float32Array ? values : Float32Array.from(values as Float16Array);
    if (shape.length !== 2 || !floats.every(Number.isFinite)) {
      throw new CorruptObjectError(
        'adapter_model.safetensors',
        `tensor ${name}, which is not a matrix of finite numbers`,
      );
    }
    found.set(module, { ...found.get(module), [side]: { shape, values: floats } });
  }
  const [[module, { A: a, B: b }] = ['', {}]] = found;
  if (found.size === 1 && a !== undefined && b !== undefined) return { a, b, module };
  const modules = [...found.keys()].join(', ') || 'none';
  throw new InvalidInputError(
    'adapter_model.safetensors',
    `modules ${modules}`,
    'lora_A and lora_B of one module',
  );
}

/**
 * The first value whose key matches a module's name, or its end after a dot, as a regular
 * expression (PEFT's `get_pattern_key`).
 */
function patternOf(
  option: string,
  patterns: Record<string, number> | null | undefined,
  module: string,
): number | undefined {
  return Object.entries(patterns ?? {}).find(([key]) => expressionOf(option, key).test(module))?.[1];
}

/**
 * @throws InvalidInputError for Python's own syntax, which JavaScript does not read or reads as
 * something else; the flag `u` refuses `\\A`, `\\Z` and other escapes without a meaning
 */
function expressionOf(option: string, key: string): RegExp {
  try {
    if (/\\[1-9]/.test(key)) throw new SyntaxError('a reference to a group that PEFT numbers otherwise');
    return new RegExp(`^(?:.*\\.)?(?:${key})$`, 'u');
  } catch (cause) {
    throw new InvalidInputError(`adapter_config.json: ${option}`, shown(key), 'a regular expression', {
      cause,
    });
  }
}
