/**
 * The scan's inner loop in WebAssembly SIMD: integer dot products of rows of 64 int16 with 64 int16
 * weights. The module is assembled here, because it is one loop. Where WebAssembly SIMD is missing,
 * {@link scanKernel} is null, and the scan runs without it.
 *
 * Features live in the module's memory, so that queries do not copy them. The memory is shared,
 * because growing unshared memory would detach the arrays of earlier calls.
 */
export interface ScanKernel {
  /**
   * A copy of the values in the kernel's memory. Its space is reused when the array is no longer
   * referenced.
   */
  adopt(values: Int16Array): Int16Array;
  /** Whether {@link dots} can read this array. */
  holds(values: Int16Array): boolean;
  /**
   * Σ weights[j]·values[i·64 + j] of every row. The sums are exact while Σ|weights| ≤ {@link
   * MAX_WEIGHT_SUM}.
   * @returns one number per row, valid until the next call
   */
  dots(values: Int16Array, weights: Int16Array): Int32Array;
}

export const KERNEL_COLUMNS = 64;
/** Times the largest value, 32,767, it still fits into an int32. */
export const MAX_WEIGHT_SUM = 65_000;

const PAGE = 65_536;
/** Weights start at 0; the results of dots() fill the rest of the reserved pages. */
const OUT = 1_024;
const RESERVED_PAGES = 8;
const MAX_PAGES = 65_536;
/** Rows of the largest shard that fits. Larger ones are scanned without the kernel. */
const MAX_ROWS = (RESERVED_PAGES * PAGE - OUT) / 4;

/** The used part of the WebAssembly JavaScript interface, which Node's types do not declare. */
interface WebAssemblyInterface {
  Memory: new (limits: {
    initial: number;
    maximum: number;
    shared: true;
  }) => {
    readonly buffer: SharedArrayBuffer;
    grow(pages: number): number;
  };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
}

function createKernel(): ScanKernel | null {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyInterface };
  let memory: InstanceType<WebAssemblyInterface['Memory']>;
  let run: (values: number, out: number, end: number) => void;
  try {
    memory = new WebAssembly.Memory({ initial: RESERVED_PAGES, maximum: MAX_PAGES, shared: true });
    const module = new WebAssembly.Module(assemble());
    ({ run } = new WebAssembly.Instance(module, { m: { m: memory } }).exports as { run: typeof run });
  } catch {
    return null;
  }
  const free: { page: number; pages: number }[] = [];
  const released = new FinalizationRegistry<{ page: number; pages: number }>((place) => free.push(place));
  const allocate = (pages: number): number => {
    const index = free.findIndex((place) => place.pages >= pages);
    if (index === -1) return memory.grow(pages);
    const [place] = free.splice(index, 1);
    if (place!.pages > pages) free.push({ page: place!.page + pages, pages: place!.pages - pages });
    return place!.page;
  };
  return {
    adopt(values) {
      const pages = Math.ceil(values.byteLength / PAGE);
      let page: number;
      try {
        page = allocate(pages);
      } catch {
        // The memory has reached its limit, so this shard is scanned without the kernel.
        return values;
      }
      const adopted = new Int16Array(memory.buffer, page * PAGE, values.length);
      adopted.set(values);
      released.register(adopted, { page, pages });
      return adopted;
    },
    holds: (values) =>
      values.length / KERNEL_COLUMNS <= MAX_ROWS &&
      values.buffer instanceof SharedArrayBuffer &&
      values.byteOffset >= RESERVED_PAGES * PAGE,
    dots(values, weights) {
      const rows = values.length / KERNEL_COLUMNS;
      new Int16Array(memory.buffer, 0, KERNEL_COLUMNS).set(weights);
      if (rows > 0) run(values.byteOffset, OUT, OUT + 4 * rows);
      return new Int32Array(memory.buffer, OUT, rows);
    },
  };
}

/**
 * Locals: address of the next row, of its result, and of the end of the results, then the eight
 * vectors of weights.
 */
const [ROW, RESULT, END, WEIGHTS, SUM] = [0, 1, 2, 3, 11];
const VECTORS = KERNEL_COLUMNS / 8;

function assemble(): Uint8Array<ArrayBuffer> {
  const get = (local: number) => [0x20, local];
  const set = (local: number) => [0x21, local];
  const constant = (value: number) => [0x41, ...leb(value, true)];
  const load = (offset: number) => [0xfd, 0x00, 0x00, ...leb(offset)];
  const DOT = [0xfd, 0xba, 0x01];
  const ADD_VECTORS = [0xfd, 0xae, 0x01];
  const ADD = 0x6a;
  const lane = (index: number) => [...get(SUM), 0xfd, 0x1b, index];
  const each = (emit: (vector: number) => number[]) =>
    Array.from({ length: VECTORS }, (_, i) => emit(i)).flat();
  const advance = (local: number, by: number) => [...get(local), ...constant(by), ADD, ...set(local)];

  const code = [
    ...each((i) => [...constant(0), ...load(16 * i), ...set(WEIGHTS + i)]),
    ...[0x03, 0x40], // loop
    ...each((i) => [
      ...get(ROW),
      ...load(16 * i),
      ...get(WEIGHTS + i),
      ...DOT,
      ...(i === 0 ? [] : ADD_VECTORS),
    ]),
    ...set(SUM),
    ...get(RESULT),
    ...[...lane(0), ...lane(1), ADD, ...lane(2), ...lane(3), ADD, ADD],
    ...[0x36, 0x02, 0x00], // i32.store
    ...advance(ROW, 2 * KERNEL_COLUMNS),
    ...advance(RESULT, 4),
    ...[...get(RESULT), ...get(END), 0x49, 0x0d, 0x00], // again while RESULT < END
    ...[0x0b, 0x0b], // end of the loop, of the function
  ];
  const body = [0x01, VECTORS + 1, 0x7b, ...code];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00]),
    ...section(2, [0x01, ...text('m'), ...text('m'), 0x02, 0x03, ...leb(RESERVED_PAGES), ...leb(MAX_PAGES)]),
    ...section(3, [0x01, 0x00]),
    ...section(7, [0x01, ...text('run'), 0x00, 0x00]),
    ...section(10, [0x01, ...leb(body.length), ...body]),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...leb(content.length), ...content];
}

function text(value: string): number[] {
  return [value.length, ...Buffer.from(value, 'latin1')];
}

/** LEB128, WebAssembly's integer encoding. A signed integer needs its sign bit free. */
function leb(value: number, isSigned = false): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    const isLast = rest < (isSigned ? 0x40 : 0x80);
    bytes.push((rest & 0x7f) | (isLast ? 0 : 0x80));
    if (isLast) return bytes;
  }
}

export const scanKernel: ScanKernel | null = createKernel();
