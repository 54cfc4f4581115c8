/**
 * Events between work that must not stall and readers that may never come.
 *
 * Each reader gets every event from when it begins, whatever others read; one that begins where nobody reads
 * gets those that wait, too. What it has not read yet waits for it: of droppable events the newest
 * `mostWaiting`, of others all. One that leaves (`break`) holds nothing back any more: what it had not read
 * waits for the next one if nobody else reads.
 */
export interface EventQueue<T> extends AsyncIterable<T> {
  push(event: T): void;
  /** No more events; readers end once they have them all, with `error` if there is one. */
  close(error?: unknown): void;
  /** Events that were pushed, read or not. */
  readonly pushed: number;
}

export interface EventQueueOptions<T> {
  /**
   * Events that may be lost where a reader does not keep up, or where there is none; all others wait as long
   * as it takes.
   */
  readonly isDroppable: (event: T) => boolean;
  /** Droppable events beyond this many that wait for one reader push out the oldest of them. */
  readonly mostWaiting?: number;
}

/** About 300 KB of steps; a reader that keeps up never has more than a few. */
const MOST_WAITING = 1024;

type Result<T> = IteratorResult<T, undefined>;

/** Events that wait to be read, oldest first. */
interface Waiting<T> {
  readonly events: T[];
  droppable: number;
}

/** Either events wait for a call of `next`, or calls wait for an event: `answers` are theirs. */
interface Reader<T> {
  readonly waiting: Waiting<T>;
  readonly answers: ((result: Result<T> | Promise<Result<T>>) => void)[];
}

export function eventQueue<T>({
  isDroppable,
  mostWaiting = MOST_WAITING,
}: EventQueueOptions<T>): EventQueue<T> {
  const readers = new Set<Reader<T>>();
  const noneWaiting = (): Waiting<T> => ({ events: [], droppable: 0 });
  let unread = noneWaiting();
  let pushed = 0;
  let closed: { readonly error?: unknown } | null = null;
  const keep = (waiting: Waiting<T>, event: T): void => {
    waiting.events.push(event);
    if (!isDroppable(event) || ++waiting.droppable <= mostWaiting) return;
    waiting.events.splice(waiting.events.findIndex(isDroppable), 1);
    waiting.droppable--;
  };
  const take = (waiting: Waiting<T>): T => {
    const event = waiting.events.shift()!;
    if (isDroppable(event)) waiting.droppable--;
    return event;
  };
  const end = async (): Promise<Result<T>> => {
    if (closed && 'error' in closed) throw closed.error;
    return { done: true, value: undefined };
  };
  const next = (reader: Reader<T>): Promise<Result<T>> => {
    if (!readers.has(reader)) return Promise.resolve({ done: true, value: undefined });
    if (reader.waiting.events.length > 0)
      return Promise.resolve({ done: false, value: take(reader.waiting) });
    return closed
      ? end()
      : new Promise((resolve) => {
          reader.answers.push(resolve);
        });
  };
  const leave = (reader: Reader<T>): Promise<Result<T>> => {
    if (readers.delete(reader) && readers.size === 0) unread = reader.waiting;
    for (const answer of reader.answers.splice(0)) answer({ done: true, value: undefined });
    return Promise.resolve({ done: true, value: undefined });
  };
  return {
    get pushed() {
      return pushed;
    },
    push(event) {
      pushed++;
      if (readers.size === 0) keep(unread, event);
      for (const { waiting, answers } of readers) {
        const answer = answers.shift();
        if (answer) answer({ done: false, value: event });
        else keep(waiting, event);
      }
    },
    close(...failure) {
      closed ??= failure.length > 0 ? { error: failure[0] } : {}; // somebody may throw undefined
      for (const { answers } of readers) for (const answer of answers.splice(0)) answer(end());
    },
    [Symbol.asyncIterator]() {
      const reader: Reader<T> = { waiting: unread, answers: [] };
      unread = noneWaiting();
      readers.add(reader);
      return { next: () => next(reader), return: () => leave(reader) };
    },
  };
}
