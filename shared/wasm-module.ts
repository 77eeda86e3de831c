/**
 * An assembler for small WebAssembly modules, so that they need no external tool and no binary
 * file. An instruction is its bytes; code is a sequence of instructions in the order of the stack
 * machine; opcodes are those of the WebAssembly specification.
 */
export type Code = readonly number[];

export type ValueType = keyof typeof VALUE_TYPES;
const VALUE_TYPES = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;

export interface WasmFunction {
  readonly name: string;
  readonly params: readonly ValueType[];
  readonly result?: ValueType;
  readonly locals: readonly ValueType[];
  readonly code: readonly Code[];
}

/** The used part of the WebAssembly JavaScript interface, which Node's types do not declare. */
interface WebAssemblyInterface {
  readonly Memory: new (limits: { initial: number; maximum: number; shared: true }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}

export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  /**
   * @returns the number of pages before the call
   * @throws RangeError at the limit
   */
  grow(pages: number): number;
}

export const PAGE = 65_536;
const MAX_PAGES = 65_536;

/**
 * Instantiates functions over a memory of their own. The memory is shared, because growing it must
 * not detach arrays that it has handed out.
 * @returns null where WebAssembly with SIMD cannot run
 */
export function instantiate<Exports>(
  pages: number,
  functions: readonly WasmFunction[],
): { readonly memory: WasmMemory; readonly run: Exports } | null {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyInterface };
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: MAX_PAGES, shared: true });
    const module = new WebAssembly.Module(assemble(pages, functions));
    const { exports } = new WebAssembly.Instance(module, { m: { m: memory } });
    return { memory, run: exports as Exports };
  } catch {
    return null;
  }
}

function assemble(pages: number, functions: readonly WasmFunction[]): Uint8Array {
  const types = functions.map(({ params, result }) => [
    0x60,
    ...vector(params.map((type) => [VALUE_TYPES[type]])),
    ...vector(result === undefined ? [] : [[VALUE_TYPES[result]]]),
  ]);
  const bodies = functions.map(({ locals, code }) => {
    const declared = vector(locals.map((type) => [1, VALUE_TYPES[type]]));
    const body = [...declared, ...code.flat(), 0x0b];
    return [...leb(body.length), ...body];
  });
  const memory = [...text('m'), ...text('m'), 0x02, 0x03, ...leb(pages), ...leb(MAX_PAGES)];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(types)),
    ...section(2, vector([memory])),
    ...section(3, vector(functions.map((_, i) => leb(i)))),
    ...section(7, vector(functions.map(({ name }, i) => [...text(name), 0x00, ...leb(i)]))),
    ...section(10, vector(bodies)),
  ]);
}

function section(id: number, content: Code): number[] {
  return [id, ...leb(content.length), ...content];
}

function vector(entries: readonly Code[]): number[] {
  return [...leb(entries.length), ...entries.flat()];
}

function text(value: string): number[] {
  return vector([...Buffer.from(value, 'latin1')].map((byte) => [byte]));
}

/** LEB128 encoding of integers; a signed one needs a free sign bit. */
function leb(value: number, isSigned = false): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    const isLast = rest < (isSigned ? 0x40 : 0x80);
    bytes.push((rest & 0x7f) | (isLast ? 0 : 0x80));
    if (isLast) return bytes;
  }
}

const simd = (opcode: number, ...more: number[]): Code => [0xfd, ...leb(opcode), ...more];
/** Memory instructions take an offset that is added to the address; alignment is only a hint. */
const memory = (opcode: Code, offset: number): Code => [...opcode, 0x00, ...leb(offset)];

export const op = {
  get: (local: number): Code => [0x20, ...leb(local)],
  set: (local: number): Code => [0x21, ...leb(local)],
  tee: (local: number): Code => [0x22, ...leb(local)],
  /** Must not be negative. */
  i32: (value: number): Code => [0x41, ...leb(value, true)],
  i32Load: (offset = 0) => memory([0x28], offset),
  i32Load8: (offset = 0) => memory([0x2d], offset),
  f32Load: (offset = 0) => memory([0x2a], offset),
  i32Store: (offset = 0) => memory([0x36], offset),
  i32Zero: [0x45],
  i32Less: [0x49],
  i32Ctz: [0x68],
  i32Add: [0x6a],
  i32Sub: [0x6b],
  i32Mul: [0x6c],
  i32And: [0x71],
  i32Or: [0x72],
  i32Shl: [0x74],
  f32Less: [0x5d],
  f32Add: [0x92],
  f32Mul: [0x94],
  f32FromI32: [0xb2],
  /** Repeats from its start while `again` leaves a value other than 0. */
  doWhile: (code: readonly Code[], again: readonly Code[]): Code => [
    ...[0x03, 0x40],
    ...code.flat(),
    ...again.flat(),
    ...[0x0d, 0x00, 0x0b],
  ],
  /** Skips `code` when `condition` leaves 0. */
  when: (condition: readonly Code[], code: readonly Code[]): Code => [
    ...condition.flat(),
    ...[0x04, 0x40],
    ...code.flat(),
    0x0b,
  ],
  load: (offset = 0) => memory(simd(0x00), offset),
  /** Eight int8 as int16. */
  load8x8: (offset = 0) => memory(simd(0x01), offset),
  /** Eight uint8 as int16. */
  load8x8Unsigned: (offset = 0) => memory(simd(0x02), offset),
  /** Two float32 as the lower half. */
  load64Zero: (offset = 0) => memory(simd(0x5d), offset),
  load32Zero: (offset = 0) => memory(simd(0x5c), offset),
  /** One float32 in all lanes. */
  load32Splat: (offset = 0) => memory(simd(0x09), offset),
  /** One float64 in both lanes. */
  load64Splat: (offset = 0) => memory(simd(0x0a), offset),
  store: (offset = 0) => memory(simd(0x0b), offset),
  zero: simd(0x0c, ...new Array<number>(16).fill(0)),
  f32x4Splat: simd(0x13),
  i32x4Lane: (lane: number) => simd(0x1b, lane),
  f32x4GreaterOrEqual: simd(0x46),
  widenU8: simd(0x89),
  widenU16: simd(0xa9),
  i32x4Bitmask: simd(0xa4),
  i32x4Add: simd(0xae),
  /** Sums of the products of neighbouring int16, as int32. */
  i16x8Dot: simd(0xba),
  f32x4Add: simd(0xe4),
  f32x4Mul: simd(0xe6),
  f64x2Add: simd(0xf0),
  f64x2Mul: simd(0xf2),
  f32x4FromI32x4: simd(0xfa),
  /** The two lower float32 as float64. */
  promote: simd(0x5f),
} as const;
