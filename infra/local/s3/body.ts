import type { IncomingMessage } from 'node:http';
import { type Checksum, verifyChecksums } from './checksums.ts';
import { S3Error } from './s3-error.ts';

/** The body limit in bytes, far above any object of Attune. */
export const MAX_BODY_BYTES = 64 * 1024 * 1024;

// Each chunk of aws-chunked adds a size line: about 0.2 % with 8 KiB chunks, the SDK's smallest.
const MAX_WIRE_BYTES = MAX_BODY_BYTES + 1024 * 1024;

/** A complete body with verified checksums. */
export interface VerifiedBody {
  readonly bytes: Buffer;
  readonly checksum: Checksum | undefined;
}

/**
 * Reads a request body, decodes aws-chunked and verifies every declared checksum.
 *
 * @param headers header fields of the request, with lower-case names
 * @throws S3Error EntityTooLarge, IncompleteBody, MalformedTrailerError, BadDigest,
 *   XAmzContentSHA256Mismatch
 */
export async function readBody(
  request: IncomingMessage,
  headers: ReadonlyMap<string, string>,
): Promise<VerifiedBody> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Reads a body over the limit to its end without keeping it, so that the client receives the
  // error.
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= MAX_WIRE_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (length > MAX_WIRE_BYTES) throw tooLarge();
  const wire = Buffer.concat(chunks, length);
  const chunked = (headers.get('x-amz-content-sha256') ?? '').startsWith('STREAMING-');
  const { bytes, trailers } = chunked ? decodeAwsChunked(wire) : { bytes: wire, trailers: new Map() };
  if (bytes.length > MAX_BODY_BYTES) throw tooLarge();
  const declared = headers.get('x-amz-decoded-content-length');
  if (chunked && declared !== undefined && Number(declared) !== bytes.length) {
    throw incomplete(`x-amz-decoded-content-length is ${declared}, the chunks hold ${bytes.length} bytes`);
  }
  const promised = headers.get('x-amz-trailer');
  if (promised !== undefined && !trailers.has(promised)) {
    throw new S3Error(400, 'MalformedTrailerError', `The trailer ${promised} was announced but is missing.`);
  }
  return { bytes, checksum: verifyChecksums(new Map([...headers, ...trailers]), bytes, wire) };
}

const tooLarge = () =>
  new S3Error(400, 'EntityTooLarge', `The body exceeds the limit of ${MAX_BODY_BYTES} bytes.`);

const incomplete = (reason: string) => new S3Error(400, 'IncompleteBody', reason);

/**
 * Decodes `aws-chunked` (S3 API reference, "Signature calculations: transferring payload in
 * multiple chunks"): chunks of `<size in hex>[;chunk-signature=…]\r\n<bytes>\r\n`, a chunk of size
 * 0, then trailer fields. Ignores chunk signatures.
 */
function decodeAwsChunked(wire: Buffer): { bytes: Buffer; trailers: Map<string, string> } {
  const parts: Buffer[] = [];
  const trailers = new Map<string, string>();
  let offset = 0;
  const line = () => {
    const end = wire.indexOf('\r\n', offset);
    if (end < 0) throw incomplete('an aws-chunked body ends in the middle of a line');
    const text = wire.toString('latin1', offset, end);
    offset = end + 2;
    return text;
  };
  for (;;) {
    const size = /^([0-9a-f]{1,8})(?:;.*)?$/i.exec(line());
    if (size === null) throw incomplete('an aws-chunked body has a chunk without a size');
    const length = Number.parseInt(size[1] ?? '', 16);
    if (length === 0) break;
    if (offset + length > wire.length) throw incomplete('an aws-chunked body ends in the middle of a chunk');
    parts.push(wire.subarray(offset, offset + length));
    offset += length;
    if (line() !== '') throw incomplete('a chunk of an aws-chunked body is longer than its size');
  }
  while (offset < wire.length) {
    const field = line();
    if (field === '') break;
    const colon = field.indexOf(':');
    trailers.set(field.slice(0, colon).toLowerCase().trim(), field.slice(colon + 1).trim());
  }
  return { bytes: Buffer.concat(parts), trailers };
}
