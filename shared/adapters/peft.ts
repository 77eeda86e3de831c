import * as z from 'zod';
import { CorruptObjectError, InvalidInputError } from '../errors.ts';
import type { DownProjection } from '../lora/basis.ts';
import type { LoraAdapter } from '../lora/forward.ts';
import { layOutTensors, readTensors, type TensorFile } from '../storage/safetensors.ts';

/** The two files that Hugging Face PEFT keeps a LoRA adapter in. */
export interface PeftFiles {
  readonly 'adapter_model.safetensors': Uint8Array;
  readonly 'adapter_config.json': string;
}

/** The module that an adapter changes: PEFT names tensors by it. A user's embeddings pass through one linear layer. */
const MODULE = 'embedding';
const PREFIX = 'base_model.model.';
const KEY = /^(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/;

const config = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().min(1).max(64),
  lora_alpha: z.number().positive(),
  use_rslora: z.boolean().nullish(),
  fan_in_fan_out: z.boolean().nullish(),
  use_dora: z.boolean().nullish(),
  rank_pattern: z.record(z.string(), z.number()).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
});

/**
 * The adapter as PEFT's `PeftModel.from_pretrained` and `set_peft_model_state_dict` load it: over a module named `embedding`, a
 * linear layer of d in and d out (the identity, for personalised embeddings y = x + s·B·A·x; PEFT's LoraLayer computes
 * W·x + (lora_alpha/r)·B·A·x). The user's offset has no place there.
 * @throws InvalidInputError when the adapter has no basis yet
 */
export function exportPeft({ basis, b }: LoraAdapter): PeftFiles {
  if (basis === null)
    throw new InvalidInputError('adapter', 'an adapter that has no basis yet', 'matrices A and B');
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
 * An adapter from PEFT's files. They must hold one LoRA module of d in and d out; its scaling is lora_alpha/r, or lora_alpha/√r with
 * `use_rslora` (Kalajdzievski 2023). float32, float16 and bfloat16 are read.
 * @throws CorruptObjectError when a file is malformed; InvalidInputError when the adapter is one that y = x + s·B·A·x cannot be
 */
export function importPeft(files: PeftFiles): LoraAdapter & { readonly basis: DownProjection } {
  const settings = readConfig(files['adapter_config.json']);
  const file = readTensors(files['adapter_model.safetensors'], 'adapter_model.safetensors');
  const { a, b, module } = findModule(file);
  const rank = patternOf(settings.rank_pattern, module) ?? settings.r;
  const alpha = patternOf(settings.alpha_pattern, module) ?? settings.lora_alpha;
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
    throw new CorruptObjectError(key, 'it is not JSON', { cause });
  }
  const parsed = config.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new CorruptObjectError(key, `${issue.path.join('.')}: ${issue.message}`, { cause: parsed.error });
  }
  for (const option of ['use_dora', 'fan_in_fan_out'] as const) {
    if (parsed.data[option] === true) throw new InvalidInputError(`${key}: ${option}`, 'true', 'false');
  }
  return parsed.data;
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
        `tensor ${name} is no matrix of finite numbers`,
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

/** PEFT matches a pattern's keys as the end of a module's name. */
function patternOf(patterns: Record<string, number> | null | undefined, module: string): number | undefined {
  return Object.entries(patterns ?? {}).find(([key]) => module === key || module.endsWith(`.${key}`))?.[1];
}
