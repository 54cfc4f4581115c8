import type { TrainEvent } from './train-events.ts';

/** Waiting `step` events beyond this many push out the oldest of them; all other events wait as long as it takes. */
export const MOST_WAITING_STEPS = 1024; // about 300 KB; a reader that keeps up never has more than a few

/** Events between a run that must not stall and a reader that may never come. */
export interface EventQueue extends AsyncIterable<TrainEvent> {
  push(event: TrainEvent): void;
  /** No more events; readers end once they have them all, with `error` if there is one. */
  close(error?: unknown): void;
  /** Events that were pushed, read or not. */
  readonly pushed: number;
  /** True once somebody has begun to read. */
  readonly isRead: boolean;
}

export function eventQueue(mostWaitingSteps = MOST_WAITING_STEPS): EventQueue {
  const waiting: TrainEvent[] = [];
  let pushed = 0, waitingSteps = 0, isRead = false, closed: { error?: unknown } | null = null, wake = (): void => {};
  const take = (): TrainEvent | undefined => {
    const event = waiting.shift();
    if (event?.type === 'step') waitingSteps--;
    return event;
  };
  const next = async (): Promise<IteratorResult<TrainEvent, undefined>> => {
    for (;;) {
      const event = take();
      if (event) return { done: false, value: event };
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
    get isRead() { return isRead; },
    push(event) {
      pushed++;
      waiting.push(event);
      if (event.type === 'step' && ++waitingSteps > mostWaitingSteps) {
        waiting.splice(waiting.findIndex(({ type }) => type === 'step'), 1);
        waitingSteps--;
      }
      wakeAll();
    },
    close(error) {
      closed ??= { error };
      wakeAll();
    },
    [Symbol.asyncIterator]() {
      isRead = true;
      return { next, return: () => Promise.resolve({ done: true, value: undefined }) };
    },
  };
}
