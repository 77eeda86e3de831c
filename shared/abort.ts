/**
 * Settles like the promise, or rejects with the signal's reason as soon as it is aborted. The
 * promise's own result is then ignored.
 */
export function orAborted<T>(promise: PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return Promise.resolve(promise);
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    // Not Promise.race, because the signal outlives many promises and would hold on to each.
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).then(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * Yields the values of a source until the signal is aborted, even while the source is waiting. It
 * then ends without an error and closes the source.
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
    // Not awaited, because a hanging source does not end either.
    if (open) void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

/** The next step of an iterator; undefined when the signal was aborted first. */
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
