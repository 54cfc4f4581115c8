/** Waiting events beyond this push out the oldest droppable one; a reader that keeps up never has more than a few. */
const MOST_WAITING = 4096;

/** Events between work that must not stall and readers that may never come. */
export interface EventStream<T> extends AsyncIterable<T> {
  push(event: T): void;
  /** No more events; a reader ends once it has them all, with `error` if there is one. */
  close(error?: unknown): void;
}

/** @param isDroppable events that may be lost when nobody reads */
export function eventStream<T>(isDroppable: (event: T) => boolean): EventStream<T> {
  const waiting: T[] = [];
  let closed: { readonly error?: unknown } | null = null, wake = (): void => {};
  const next = async (): Promise<IteratorResult<T, undefined>> => {
    while (waiting.length === 0 && !closed) await new Promise<void>((resolve) => { wake = resolve; });
    if (waiting.length > 0) return { done: false, value: waiting.shift()! };
    if (closed!.error !== undefined) throw closed!.error;
    return { done: true, value: undefined };
  };
  return {
    push(event) {
      waiting.push(event);
      const oldest = waiting.length > MOST_WAITING ? waiting.findIndex(isDroppable) : -1;
      if (oldest >= 0) waiting.splice(oldest, 1);
      wake();
    },
    close(error) {
      closed ??= { error };
      wake();
    },
    [Symbol.asyncIterator]: () => ({ next, return: () => Promise.resolve({ done: true, value: undefined }) }),
  };
}
