/** Events between work that must not stall and readers that may never come. */
export interface EventQueue<T> extends AsyncIterable<T> {
  push(event: T): void;
  /** No more events; readers end once they have them all, with `error` if there is one. */
  close(error?: unknown): void;
  /** Events that were pushed, read or not. */
  readonly pushed: number;
}

export interface EventQueueOptions<T> {
  /** Events that may be lost when nobody reads; all others wait as long as it takes. */
  readonly isDroppable: (event: T) => boolean;
  /** Waiting droppable events beyond this many push out the oldest of them. */
  readonly mostWaiting?: number;
}

/** About 300 KB of steps; a reader that keeps up never has more than a few. */
const MOST_WAITING = 1024;

export function eventQueue<T>({ isDroppable, mostWaiting = MOST_WAITING }: EventQueueOptions<T>): EventQueue<T> {
  const waiting: T[] = [];
  let pushed = 0, waitingDroppable = 0, closed: { error?: unknown } | null = null, wake = (): void => {};
  const next = async (): Promise<IteratorResult<T, undefined>> => {
    for (;;) {
      if (waiting.length > 0) {
        const event = waiting.shift()!;
        if (isDroppable(event)) waitingDroppable--;
        return { done: false, value: event };
      }
      if (closed) {
        if (closed.error !== undefined) throw closed.error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        const others = wake;
        wake = () => { others(); resolve(); };
      });
    }
  };
  const wakeAll = (): void => {
    const all = wake;
    wake = () => {};
    all();
  };
  return {
    get pushed() { return pushed; },
    push(event) {
      pushed++;
      waiting.push(event);
      if (isDroppable(event) && ++waitingDroppable > mostWaiting) {
        waiting.splice(waiting.findIndex(isDroppable), 1);
        waitingDroppable--;
      }
      wakeAll();
    },
    close(error) {
      closed ??= { error };
      wakeAll();
    },
    [Symbol.asyncIterator]: () => ({ next, return: () => Promise.resolve({ done: true, value: undefined }) }),
  };
}
