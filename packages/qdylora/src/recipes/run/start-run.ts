import { eventQueue } from '@qdylora/trainer';
import type { FinetuneEvent } from '../run-folder/finetune-events.ts';

/** Most step events that wait for a slow reader; a reader that keeps up has only a few. */
const MOST_WAITING_STEPS = 4096;

/** Started work: an async iterable of its events, and a promise of its result. */
export interface StartedRun<Result> extends AsyncIterable<FinetuneEvent> {
  readonly result: Promise<Result>;
}

/**
 * Starts `work` in the next microtask, so that the caller has the run before it begins. Events wait for their
 * first reader; if it is too slow, the oldest step events are dropped. An error rejects `result` and ends the
 * iteration.
 */
export function startRun<Result>(
  work: (emit: (event: FinetuneEvent) => void) => Promise<Result>,
): StartedRun<Result> {
  const events = eventQueue<FinetuneEvent>({
    isDroppable: ({ type }) => type === 'step',
    maxWaiting: MOST_WAITING_STEPS,
  });
  const result = Promise.resolve().then(() => work(events.push));
  result.then(
    () => events.close(),
    (error: unknown) => events.close(error),
  );
  return { result, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() };
}
