/**
 * Settles as the promise does, or rejects with the signal's reason as soon as that is aborted; what the promise comes
 * to then is passed over.
 */
export function orAborted<T>(promise: PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return Promise.resolve(promise);
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    // Not Promise.race: the signal outlives many promises, and would hold on to each.
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).then(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * What a source yields until the signal is aborted, even while the source keeps one waiting. It ends then without an
 * error, and the source is told to end.
 * @throws what the source throws
 */
export async function* untilAborted<T>(
  source: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let open = true;
  try {
    while (!signal?.aborted) {
      const next = await stepOf(iterator, signal);
      if (next === undefined) break;
      if (next.done) {
        open = false;
        return;
      }
      yield next.value;
    }
  } catch (error) {
    open = false;
    throw error;
  } finally {
    // Not awaited, because a source that hangs does not end either.
    if (open) void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

/** The next step of an iterator; undefined when the signal was aborted before there was one. */
async function stepOf<T>(
  iterator: Iterator<T> | AsyncIterator<T>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<T> | undefined> {
  try {
    return await orAborted(Promise.resolve(iterator.next()), signal);
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}
