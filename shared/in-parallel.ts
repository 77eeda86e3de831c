/**
 * Applies a function to every value, several at a time. After a failure it starts no more.
 * @param width most calls at a time
 * @throws the first error, after all running calls have ended
 */
export async function inParallel<T>(
  values: Iterable<T> | AsyncIterable<T>,
  width: number,
  work: (value: T) => Promise<void>,
): Promise<void> {
  const queue = Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]();
  let failed = false;
  const worker = async () => {
    while (!failed) {
      const next = await queue.next();
      if (next.done || failed) return;
      await work(next.value).catch((error) => {
        failed = true;
        throw error;
      });
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: width }, worker));
  const failure = ended.find(({ status }) => status === 'rejected');
  if (failure?.status === 'rejected') throw failure.reason;
}
