import { type Code, instantiate, op, PAGE, type WasmFunction } from '../wasm-module.ts';

/** The type that sums are added in. */
export type Precision = 'float64' | 'float32';

/** Memory for φ of an item, for a Π with so many rows and p columns. */
export function phiOf(p: number, rows: number, kernel: FeaturesKernel | null): Float64Array {
  if (kernel !== null && p === KERNEL_COLUMNS && rows <= MAX_ROWS) return kernel.phi;
  if (scratch.length < rows) scratch = new Float64Array(rows);
  return scratch;
}

/** φ of the current item where the kernel does not have it; allocated once, not per call. */
let scratch = new Float64Array(0);

/**
 * out = Πᵀφ, of the φ that was written last. In float64 each column adds its products in the order
 * of the rows, with or without the kernel, so that the sums are bit-identical.
 * @param projection Π, row by row
 * @param out length p or more
 */
export function projectPhi(
  projection: Float32Array,
  p: number,
  rows: number,
  out: Float64Array,
  precision: Precision,
  kernel: FeaturesKernel | null,
): void {
  if (kernel !== null && phiOf(p, rows, kernel) === kernel.phi)
    kernel.project(projection, rows, out, precision);
  else projectByEights(widened(projection), p, rows, out);
}

/** The last Π in float64: widening every number anew takes longer than the sums. */
let wide: { readonly of: WeakRef<Float32Array>; readonly values: Float64Array } | undefined;

function widened(projection: Float32Array): Float64Array {
  if (wide?.of.deref() !== projection)
    wide = { of: new WeakRef(projection), values: Float64Array.from(projection) };
  return wide.values;
}

/**
 * out = Πᵀφ, eight columns and two rows at a time; the sums stay in registers. Each column adds its
 * products in the order of the rows, so that the sums are bit-identical to a loop over rows
 * outside.
 */
function projectByEights(projection: Float64Array, p: number, rows: number, out: Float64Array): void {
  const phi = scratch;
  let j = 0;
  for (; j + 8 <= p; j += 8) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let s4 = 0;
    let s5 = 0;
    let s6 = 0;
    let s7 = 0;
    let row = 0;
    let at = j;
    for (; row + 2 <= rows; row += 2, at += 2 * p) {
      const u = phi[row]!;
      const v = phi[row + 1]!;
      const next = at + p;
      s0 = s0 + u * projection[at]! + v * projection[next]!;
      s1 = s1 + u * projection[at + 1]! + v * projection[next + 1]!;
      s2 = s2 + u * projection[at + 2]! + v * projection[next + 2]!;
      s3 = s3 + u * projection[at + 3]! + v * projection[next + 3]!;
      s4 = s4 + u * projection[at + 4]! + v * projection[next + 4]!;
      s5 = s5 + u * projection[at + 5]! + v * projection[next + 5]!;
      s6 = s6 + u * projection[at + 6]! + v * projection[next + 6]!;
      s7 = s7 + u * projection[at + 7]! + v * projection[next + 7]!;
    }
    out.set([s0, s1, s2, s3, s4, s5, s6, s7], j);
    if (row < rows) for (let i = 0; i < 8; i++) out[j + i]! += phi[row]! * projection[at + i]!;
  }
  for (; j < p; j++) {
    let sum = 0;
    for (let row = 0, at = j; row < rows; row++, at += p) sum += phi[row]! * projection[at]!;
    out[j] = sum;
  }
}

/** {@link projectPhi} in WebAssembly SIMD, for bases of 64 columns. */
export interface FeaturesKernel {
  readonly phi: Float64Array;
  /** The kernel keeps a copy of the last Π, which it knows by identity. */
  project(projection: Float32Array, rows: number, out: Float64Array, precision: Precision): void;
}

const KERNEL_COLUMNS = 64;
/** Columns whose sums stay in registers: eight vectors of each type. */
const COLUMNS = { float64: 16, float32: 32 } as const;

/** Addresses of the sums, φ in float64, φ in float32 and Π. */
const SUMS = 0;
const PHI = 1_024;
const MAX_ROWS = 16_384;
const PHI32 = PHI + 8 * MAX_ROWS;
const PROJECTION = PHI32 + 4 * MAX_ROWS;
const PAGES = Math.ceil((PROJECTION + 4 * KERNEL_COLUMNS * MAX_ROWS) / PAGE);

type Project = (phi: number, end: number, projection: number, sums: number) => void;

function createKernel(): FeaturesKernel | null {
  const instance = instantiate<{ readonly float64: Project; readonly float32: Project }>(PAGES, [
    projectFunction('float64'),
    projectFunction('float32'),
  ]);
  if (instance === null) return null;
  const { memory, run } = instance;
  const sums = new Float64Array(memory.buffer, SUMS, KERNEL_COLUMNS);
  const sums32 = new Float32Array(memory.buffer, SUMS, KERNEL_COLUMNS);
  const phi = new Float64Array(memory.buffer, PHI, MAX_ROWS);
  const phi32 = new Float32Array(memory.buffer, PHI32, MAX_ROWS);
  const held = new Float32Array(memory.buffer, PROJECTION, KERNEL_COLUMNS * MAX_ROWS);
  let holds: WeakRef<Float32Array> | undefined;
  const hold = (projection: Float32Array) => {
    if (holds?.deref() === projection) return;
    held.set(projection);
    holds = new WeakRef(projection);
  };
  return {
    phi,
    project(projection, rows, out, precision) {
      hold(projection);
      if (precision === 'float64') {
        for (let j = 0; j < KERNEL_COLUMNS; j += COLUMNS.float64)
          run.float64(PHI, PHI + 8 * rows, PROJECTION + 4 * j, SUMS + 8 * j);
        out.set(sums);
        return;
      }
      phi32.set(phi.subarray(0, rows));
      for (let j = 0; j < KERNEL_COLUMNS; j += COLUMNS.float32)
        run.float32(PHI32, PHI32 + 4 * rows, PROJECTION + 4 * j, SUMS + 4 * j);
      out.set(sums32);
    },
  };
}

function projectFunction(precision: Precision): WasmFunction {
  const [PHI_AT, END, AT, OUT, WEIGHT, SUM] = [0, 1, 2, 3, 4, 5];
  const { get, set, i32, i32Add } = op;
  const lanes = COLUMNS[precision] / 8;
  const bytes = { float64: 8, float32: 4 }[precision];
  const of = {
    float64: {
      splat: op.load64Splat(),
      load: (i: number) => [get(AT), op.load64Zero(4 * lanes * i), op.promote],
      multiply: op.f64x2Mul,
      add: op.f64x2Add,
    },
    float32: {
      splat: op.load32Splat(),
      load: (i: number) => [get(AT), op.load(4 * lanes * i)],
      multiply: op.f32x4Mul,
      add: op.f32x4Add,
    },
  }[precision];
  const each = (code: (i: number) => readonly Code[]) => [0, 1, 2, 3, 4, 5, 6, 7].flatMap(code);
  return {
    name: precision,
    params: ['i32', 'i32', 'i32', 'i32'],
    locals: new Array<'v128'>(9).fill('v128'),
    code: [
      op.doWhile(
        [
          ...[get(PHI_AT), of.splat, set(WEIGHT)],
          ...each((i) => [get(SUM + i), get(WEIGHT), ...of.load(i), of.multiply, of.add, set(SUM + i)]),
          ...[get(PHI_AT), i32(bytes), i32Add, set(PHI_AT)],
          ...[get(AT), i32(4 * KERNEL_COLUMNS), i32Add, set(AT)],
        ],
        [get(PHI_AT), get(END), op.i32Less],
      ),
      ...each((i) => [get(OUT), get(SUM + i), op.store(16 * i)]),
    ],
  };
}

/** Null where WebAssembly with SIMD cannot run. */
export const featuresKernel: FeaturesKernel | null = createKernel();
