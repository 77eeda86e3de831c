const LF = 0x0a;
const CR = 0x0d;

/**
 * Splits bytes into records. A record ends at LF with an optional CR before it, or at the end of
 * the input, and does not include the line end.
 * @param maxBytes a longer record is dropped while reading, and replaced by `too-long`
 */
export async function* recordsOf(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array | 'too-long'> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const add = (part: Uint8Array) => {
    bytes += part.length;
    if (bytes > maxBytes) parts = [];
    else parts.push(part);
  };
  const take = (): Uint8Array | 'too-long' => {
    const record = bytes > maxBytes ? 'too-long' : Buffer.concat(parts);
    parts = [];
    bytes = 0;
    return record === 'too-long' || record.at(-1) !== CR ? record : record.subarray(0, -1);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (bytes > 0) yield take();
}
