/**
 * Events between a run, which must not stall, and readers, which may be slow or absent.
 *
 * Each reader receives every event from the moment it subscribes, whatever others read. A reader that
 * subscribes while there is no other also receives the waiting events. Events that a reader has not read yet
 * wait for it: the newest `maxWaiting` droppable events, and all others. When the last reader leaves
 * (`break`), its unread events wait for the next reader.
 */
export interface EventQueue<T> extends AsyncIterable<T> {
  push(event: T): void;
  /** Ends the queue: readers end after their last event, with `error` if there is one. */
  close(error?: unknown): void;
}

/** Options of `eventQueue`: which events a slow reader may lose, and from how many on. */
export interface EventQueueOptions<T> {
  /** Whether an event may be dropped if a reader is slow or absent; all other events wait without a limit. */
  readonly isDroppable: (event: T) => boolean;
  /**
   * Maximum number of droppable events that wait for a reader; then the oldest is dropped. Default: 1,024.
   */
  readonly maxWaiting?: number;
}

/** About 300 KB of step events; a reader that keeps up never has more than a few. */
const MAX_WAITING = 1024;

type Result<T> = IteratorResult<T, undefined>;

/**
 * Either events wait in `backlog` for a call of `next`, or calls of `next` wait in `answers` for an event.
 */
interface Reader<T> {
  readonly backlog: Backlog<T>;
  readonly answers: ((result: Result<T> | Promise<Result<T>>) => void)[];
}

/**
 * Opens a queue of events.
 *
 * @example
 * const events = eventQueue<TrainEvent>({ isDroppable: ({ type }) => type === 'step' });
 */
export function eventQueue<T>(options: EventQueueOptions<T>): EventQueue<T> {
  const readers = new Set<Reader<T>>();
  let unread = backlogOf(options);
  let end: { readonly error?: unknown } | null = null;
  const next = (reader: Reader<T>): Promise<Result<T>> => {
    if (!readers.has(reader)) return Promise.resolve(DONE);
    const event = reader.backlog.take();
    if (event) return Promise.resolve({ done: false, value: event.value });
    if (end) return resultOfEnd(end);
    return new Promise((resolve) => {
      reader.answers.push(resolve);
    });
  };
  const leave = (reader: Reader<T>): Promise<Result<T>> => {
    if (readers.delete(reader) && readers.size === 0) unread = reader.backlog;
    for (const answer of reader.answers.splice(0)) answer(DONE);
    return Promise.resolve(DONE);
  };
  return {
    push(event) {
      if (readers.size === 0) unread.add(event);
      for (const { backlog, answers } of readers) {
        const answer = answers.shift();
        if (answer) answer({ done: false, value: event });
        else backlog.add(event);
      }
    },
    close(...failure) {
      end ??= failure.length > 0 ? { error: failure[0] } : {}; // an error may be undefined
      for (const { answers } of readers) for (const answer of answers.splice(0)) answer(resultOfEnd(end));
    },
    [Symbol.asyncIterator]() {
      const reader: Reader<T> = { backlog: unread, answers: [] };
      unread = backlogOf(options);
      readers.add(reader);
      return { next: () => next(reader), return: () => leave(reader) };
    },
  };
}

const DONE: Result<never> = { done: true, value: undefined };

async function resultOfEnd(end: { readonly error?: unknown }): Promise<Result<never>> {
  if ('error' in end) throw end.error;
  return DONE;
}

/** Events that wait to be read, oldest first. */
interface Backlog<T> {
  add(event: T): void;
  take(): { readonly value: T } | undefined;
}

function backlogOf<T>({ isDroppable, maxWaiting = MAX_WAITING }: EventQueueOptions<T>): Backlog<T> {
  const events: T[] = [];
  let droppable = 0;
  return {
    add(event) {
      events.push(event);
      if (!isDroppable(event) || ++droppable <= maxWaiting) return;
      events.splice(events.findIndex(isDroppable), 1);
      droppable--;
    },
    take() {
      if (events.length === 0) return undefined;
      const value = events.shift()!;
      if (isDroppable(value)) droppable--;
      return { value };
    },
  };
}
