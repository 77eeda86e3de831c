import { createHash } from 'node:crypto';
import { CorruptObjectError } from '../errors.ts';

/**
 * The safetensors container (huggingface/safetensors, format section of its README): eight bytes of
 * little-endian header length, a JSON header padded with spaces, the tensors. The header is padded
 * so that tensors start at a multiple of eight and are read as views.
 *
 * Attune adds one metadata entry, `sha256`: the hash of the whole file with that entry's own digits
 * set to zero.
 */
export type Tensor =
  | Float64Array
  | Float32Array
  | Float16Array
  | BigUint64Array
  | Uint32Array
  | Int16Array
  | Uint8Array;

export interface NamedTensor {
  readonly shape: readonly number[];
  readonly values: Tensor;
}

export interface TensorFile {
  readonly tensors: Readonly<Record<string, NamedTensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

const DTYPES = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Float16Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  I16: Int16Array,
  U8: Uint8Array,
} as const;
type Dtype = keyof typeof DTYPES;

/** Widest first, so that every tensor is aligned to its element size. */
const DTYPE_ORDER = Object.keys(DTYPES) as Dtype[];
const NO_DIGEST = '0'.repeat(64);
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

function dtypeOf(values: Tensor): Dtype {
  return DTYPE_ORDER.find((dtype) => values instanceof DTYPES[dtype])!;
}

/** Encodes deterministically: the same tensors and metadata give the same bytes. */
export function encodeTensors({ tensors, metadata }: TensorFile): Uint8Array {
  const file = layOutTensors({ tensors, metadata: { ...metadata, sha256: NO_DIGEST } });
  const header = file.subarray(0, tensorsStart(file));
  const digestAt = header.indexOf(`"sha256":"${NO_DIGEST}"`) + '"sha256":"'.length;
  file.write(createHash('sha256').update(file).digest('hex'), digestAt, 'latin1');
  return file;
}

/** A plain safetensors file without a checksum, as other LoRA software reads it. Deterministic. */
export function layOutTensors({ tensors, metadata }: TensorFile): Buffer {
  const entries = Object.entries(tensors)
    .map(([name, { shape, values }]) => ({ name, shape, values, dtype: dtypeOf(values) }))
    .sort(
      (a, b) => DTYPE_ORDER.indexOf(a.dtype) - DTYPE_ORDER.indexOf(b.dtype) || (a.name < b.name ? -1 : 1),
    );
  const header: [string, unknown][] = [['__metadata__', metadata]];
  let offset = 0;
  for (const { name, shape, values, dtype } of entries) {
    header.push([name, { dtype, shape, data_offsets: [offset, offset + values.byteLength] }]);
    offset += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)), 'utf8');
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = Buffer.allocUnsafeSlow(8 + headerBytes + offset);
  file.writeBigUInt64LE(BigInt(headerBytes));
  json.copy(file, 8);
  file.fill(' ', 8 + json.length, 8 + headerBytes);
  let at = 8 + headerBytes;
  for (const { values } of entries) {
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return file;
}

/**
 * Reads a file that {@link encodeTensors} wrote. Tensors are views of `bytes` where alignment
 * allows, copies otherwise.
 * @param key names the object in errors
 * @throws CorruptObjectError on any wrong length, header, shape, dtype, or checksum
 */
export function decodeTensors(bytes: Uint8Array, key: string): TensorFile {
  const { tensors, metadata } = readTensors(bytes, key);
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { sha256, ...rest } = metadata;
  checkDigest(file, tensorsStart(file), sha256, (reason) => new CorruptObjectError(key, reason));
  return { tensors, metadata: rest };
}

/**
 * Reads any safetensors file of the dtypes F64, F32, F16, BF16 (as float32), U64, U32, I16 and U8.
 * Checks its structure only.
 * @param key names the object in errors
 * @throws CorruptObjectError on any wrong length, header, shape or dtype
 */
export function readTensors(bytes: Uint8Array, key: string): TensorFile {
  const corrupt = (reason: string, cause?: unknown) => new CorruptObjectError(key, reason, { cause });
  if (bytes.byteLength < 8) throw corrupt(`${bytes.byteLength} bytes are too few for a safetensors file`);
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const declared = file.readBigUInt64LE();
  if (declared > BigInt(Math.min(MAX_HEADER_BYTES, file.length - 8))) {
    throw corrupt(`the header claims ${declared} bytes of a file of ${file.length}`);
  }
  const dataStart = tensorsStart(file);
  const header = parseHeader(file.toString('utf8', 8, dataStart), corrupt);
  const { __metadata__: metadata = {}, ...declaredTensors } = header;
  if (!isStrings(metadata)) throw corrupt('__metadata__ is not an object of strings');

  const tensors: [string, NamedTensor][] = [];
  let end = 0;
  // In the order of their bytes, because overlapping tensors could expand to far more memory than
  // the file.
  const infos = Object.entries(declaredTensors)
    .map(([name, info]) => ({ name, ...tensorInfo(name, info, corrupt) }))
    .sort((a, b) => a.offsets[0] - b.offsets[0] || a.offsets[1] - b.offsets[1]);
  for (const { name, dtype, shape, offsets } of infos) {
    if (offsets[0] !== end) throw corrupt(`tensor ${name} starts at byte ${offsets[0]}, expected ${end}`);
    const length = shape.reduce((product, size) => product * size, 1);
    const bytesPerElement = dtype === 'BF16' ? 2 : DTYPES[dtype].BYTES_PER_ELEMENT;
    if (offsets[1] - offsets[0] !== length * bytesPerElement || dataStart + offsets[1] > file.length) {
      throw corrupt(
        `tensor ${name} of shape [${shape.join(', ')}] ${dtype} does not fill bytes ${offsets.join('..')}`,
      );
    }
    tensors.push([name, { shape, values: tensorAt(file, dataStart + offsets[0], dtype, length) }]);
    end = offsets[1];
  }
  if (dataStart + end !== file.length) {
    throw corrupt(`${file.length - dataStart} bytes of tensors, expected ${end}`);
  }
  // Not by assignment, because the name __proto__ would set the prototype.
  return { tensors: Object.fromEntries(tensors), metadata };
}

function tensorsStart(file: Buffer): number {
  return 8 + Number(file.readBigUInt64LE());
}

function tensorAt(file: Buffer, offset: number, dtype: Dtype | 'BF16', length: number): Tensor {
  const start = file.byteOffset + offset;
  const buffer = file.buffer as ArrayBuffer;
  if (dtype === 'BF16') {
    // The upper half of a float32.
    const bits = Uint32Array.from({ length }, (_, i) => file.readUInt16LE(offset + 2 * i) << 16);
    return new Float32Array(bits.buffer);
  }
  const View = DTYPES[dtype];
  return start % View.BYTES_PER_ELEMENT === 0
    ? new View(buffer, start, length)
    : new View(buffer.slice(start, start + length * View.BYTES_PER_ELEMENT));
}

type Corrupt = (reason: string, cause?: unknown) => CorruptObjectError;

function parseHeader(text: string, corrupt: Corrupt): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw corrupt('the header is not JSON', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw corrupt('the header is not an object');
  return { ...header };
}

function checkDigest(file: Buffer, dataStart: number, digest: string | undefined, corrupt: Corrupt): void {
  if (digest === undefined || !/^[0-9a-f]{64}$/.test(digest)) throw corrupt('no sha256 in the metadata');
  const at = file.subarray(0, dataStart).indexOf(`"sha256":"${digest}"`) + '"sha256":"'.length;
  const actual = createHash('sha256')
    .update(file.subarray(0, at))
    .update(NO_DIGEST)
    .update(file.subarray(at + 64))
    .digest('hex');
  if (actual !== digest)
    throw corrupt(`the checksum is ${actual.slice(0, 12)}…, expected ${digest.slice(0, 12)}…`);
}

function tensorInfo(
  name: string,
  info: unknown,
  corrupt: Corrupt,
): { dtype: Dtype | 'BF16'; shape: number[]; offsets: [number, number] } {
  const { dtype, shape, data_offsets: offsets } = Object(info) as Record<string, unknown>;
  if (typeof dtype !== 'string' || (dtype !== 'BF16' && !Object.hasOwn(DTYPES, dtype)))
    throw corrupt(`tensor ${name} has dtype ${String(dtype)}`);
  if (!isSizes(shape)) throw corrupt(`tensor ${name} has no valid shape`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!)
    throw corrupt(`tensor ${name} has no valid offsets`);
  return { dtype: dtype as Dtype | 'BF16', shape, offsets: [offsets[0]!, offsets[1]!] };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isStrings(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((entry) => typeof entry === 'string')
  );
}
