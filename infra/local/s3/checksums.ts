import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { invalidArgument, notImplemented, S3Error } from './s3-error.ts';

/** The supported checksums, in base64 (CRC32 big-endian). The SDK's default is CRC32. */
const ALGORITHMS: Readonly<Record<string, (body: Uint8Array) => string>> = {
  crc32: (body) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(crc32(body));
    return bytes.toString('base64');
  },
  sha1: (body) => createHash('sha1').update(body).digest('base64'),
  sha256: (body) => createHash('sha256').update(body).digest('base64'),
};

const PREFIX = 'x-amz-checksum-';

/** A checksum header, such as `{ header: 'x-amz-checksum-crc32', value: 'NhCmhg==' }`. */
export interface Checksum {
  readonly header: string;
  readonly value: string;
}

/**
 * Compares a body with every checksum that the request declares: `x-amz-checksum-*` (header or
 * trailer), `Content-MD5`, and the payload hash of the signature.
 *
 * @param headers header and trailer fields of the request, with lower-case names
 * @param wire the body as signed, before decoding aws-chunked
 * @returns the declared `x-amz-checksum-*`, if any, to store with the object
 * @throws S3Error BadDigest or XAmzContentSHA256Mismatch for a difference, NotImplemented for an
 *   unknown algorithm
 */
export function verifyChecksums(
  headers: ReadonlyMap<string, string>,
  body: Uint8Array,
  wire: Uint8Array,
): Checksum | undefined {
  const signed = headers.get('x-amz-content-sha256');
  if (signed !== undefined && /^[0-9a-f]{64}$/.test(signed)) {
    if (createHash('sha256').update(wire).digest('hex') !== signed) {
      throw new S3Error(
        400,
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      );
    }
  }
  const md5 = headers.get('content-md5');
  if (md5 !== undefined && createHash('md5').update(body).digest('base64') !== md5) {
    throw new S3Error(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
  const declared = [...headers].filter(([name]) => name.startsWith(PREFIX) && name !== `${PREFIX}mode`);
  if (declared.length > 1) throw invalidArgument(`Expected a single ${PREFIX}* header.`);
  const [first] = declared;
  if (first === undefined) return undefined;
  const [header, value] = first;
  const algorithm = header.slice(PREFIX.length);
  const compute = Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : undefined;
  if (compute === undefined) throw notImplemented(`the header ${header}`);
  if (compute(body) !== value) {
    throw new S3Error(
      400,
      'BadDigest',
      `The ${algorithm.toUpperCase()} you specified did not match the body.`,
    );
  }
  return { header, value };
}
