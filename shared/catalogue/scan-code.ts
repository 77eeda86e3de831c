import { type Code, op, PAGE, type WasmFunction } from '../wasm-module.ts';

export const KERNEL_COLUMNS = 64;
/** Most rows of one call. */
export const MAX_BLOCK_ROWS = 5_456;
/** Columns that the kernel reads for every item. */
export const HEAD_COLUMNS = 48;
export const TAIL_COLUMNS = KERNEL_COLUMNS - HEAD_COLUMNS;
/** Rows that the kernel computes side by side. */
export const LANES = 8;
/** Largest shard that the kernel scans. */
export const MAX_ROWS = 65_536;

/**
 * Addresses: weights of the first columns, each pair four times; all weights in order; sums of
 * eight rows.
 */
export const WEIGHTS = 8 * HEAD_COLUMNS;
const SUMS = WEIGHTS + 2 * KERNEL_COLUMNS;
export const FOUND = PAGE;
export const FOUND_BYTES = 12;
export const SELECTION = 2 * PAGE;
export const EFFECTS = 3 * PAGE;
export const RESERVED_PAGES = 3 + (4 * MAX_ROWS) / PAGE;

/** Parameters and locals of the function. */
const [HEAD, TAIL, LOW, LENGTHS, ROW, END, STEP, LOW_STEP, UNIT] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const [FLOOR, FLOOR_OF_HIGH, FLOOR_OF_ALL] = [9, 10, 11];
const [OUT, MASK, LANE, ADDRESS, SUM, LOW_SUM, VALUE] = [12, 13, 14, 15, 16, 17, 18];
const [ACC, VECTOR] = [19, 21];
const { get, set, tee, i32, i32Add } = op;
const advance = (local: number, by: number): Code[] => [get(local), i32(by), i32Add, set(local)];
/** One bit for each of four rows that may reach the floor by its first columns. */
const hopeful = (four: number): Code[] => [
  get(ACC + four),
  op.f32x4FromI32x4,
  ...[get(STEP), op.f32x4Splat, op.f32x4Mul],
  ...[get(LENGTHS), op.load32Zero(4 * four), op.widenU8, op.widenU16, op.f32x4FromI32x4],
  ...[get(UNIT), op.f32x4Splat, op.f32x4Mul, op.f32x4Add],
  ...[get(ROW), i32(2), op.i32Shl, op.load(EFFECTS + 16 * four), op.f32x4Add],
  ...[get(FLOOR), op.f32x4Splat, op.f32x4GreaterOrEqual, op.i32x4Bitmask],
];
const heads = Array.from({ length: HEAD_COLUMNS / 2 }, (_, pair) => [
  ...[i32(0), op.load(16 * pair), set(VECTOR)],
  ...[0, 1].flatMap((four) => [
    ...[get(HEAD), op.load8x8(16 * pair + 8 * four), get(VECTOR), op.i16x8Dot],
    ...(pair === 0 ? [] : [get(ACC + four), op.i32x4Add]),
    set(ACC + four),
  ]),
]).flat();
/** Σq·(the numbers at ADDRESS), as i32. */
const sumOf = (numbers: number, loading: (offset: number) => Code, weights: number): Code[] => [
  ...Array.from({ length: numbers / 8 }, (_, i) => [
    ...[get(ADDRESS), loading(8 * i), i32(0), op.load(weights + 16 * i), op.i16x8Dot],
    ...(i === 0 ? [] : [op.i32x4Add]),
  ]).flat(),
  set(VECTOR),
  ...[0, 1, 2, 3].flatMap((lane) => [...[get(VECTOR), op.i32x4Lane(lane)], ...(lane === 0 ? [] : [i32Add])]),
];
const address = (start: number, bytesOfRow: number): Code[] => [
  ...[get(start), get(LANE), i32(bytesOfRow), op.i32Mul, i32Add, set(ADDRESS)],
];
const reaches = (floor: number): Code[] => [get(floor), op.f32Less, op.i32Zero];
const offer: Code[] = [
  ...[...address(TAIL, TAIL_COLUMNS), ...sumOf(TAIL_COLUMNS, op.load8x8, WEIGHTS + 2 * HEAD_COLUMNS)],
  ...[get(LANE), i32(2), op.i32Shl, op.i32Load(SUMS), i32Add, tee(SUM)],
  ...[op.f32FromI32, get(STEP), op.f32Mul],
  ...[get(ROW), get(LANE), i32Add, i32(2), op.i32Shl, op.f32Load(EFFECTS), op.f32Add, tee(VALUE)],
  op.when(reaches(FLOOR_OF_HIGH), [
    ...[...address(LOW, KERNEL_COLUMNS), ...sumOf(KERNEL_COLUMNS, op.load8x8Unsigned, WEIGHTS), tee(LOW_SUM)],
    ...[op.f32FromI32, get(LOW_STEP), op.f32Mul, get(VALUE), op.f32Add],
    op.when(reaches(FLOOR_OF_ALL), [
      ...[get(OUT), get(ROW), get(LANE), i32Add, op.i32Store(0)],
      ...[get(OUT), get(SUM), op.i32Store(4)],
      ...[get(OUT), get(LOW_SUM), op.i32Store(8)],
      ...advance(OUT, FOUND_BYTES),
    ]),
  ]),
];
const eachHopeful = op.doWhile(
  [
    ...[get(MASK), op.i32Ctz, set(LANE)],
    ...[get(MASK), get(MASK), i32(1), op.i32Sub, op.i32And, set(MASK)],
    // There may be fewer than eight rows left.
    op.when(
      [
        ...[get(ROW), get(LANE), i32Add, op.i32Load8(SELECTION)],
        ...[get(ROW), get(LANE), i32Add, get(END), op.i32Less, op.i32And],
      ],
      offer,
    ),
  ],
  [get(MASK)],
);

/** The loop of the kernel over the rows of a shard, eight at a time; see scan-kernel.ts. */
export const scanFunction: WasmFunction = {
  name: 'scan',
  params: [...new Array<'i32'>(6).fill('i32'), ...new Array<'f32'>(6).fill('f32')],
  result: 'i32',
  locals: [...new Array<'i32'>(6).fill('i32'), 'f32', 'v128', 'v128', 'v128'],
  code: [
    ...[i32(FOUND), set(OUT)],
    op.doWhile(
      [
        ...heads,
        ...[...hopeful(0), ...hopeful(1), i32(4), op.i32Shl, op.i32Or, tee(MASK)],
        op.when(
          [],
          [...[i32(0), get(ACC), op.store(SUMS), i32(0), get(ACC + 1), op.store(SUMS + 16)], eachHopeful],
        ),
        ...advance(HEAD, LANES * HEAD_COLUMNS),
        ...advance(TAIL, LANES * TAIL_COLUMNS),
        ...advance(LOW, LANES * KERNEL_COLUMNS),
        ...advance(LENGTHS, LANES),
        ...advance(ROW, LANES),
      ],
      [get(ROW), get(END), op.i32Less],
    ),
    get(OUT),
  ],
};
