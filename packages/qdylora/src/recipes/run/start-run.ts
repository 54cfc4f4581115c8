import { eventQueue } from '@qdylora/trainer';
import type { FinetuneEvent } from '../run-folder/finetune-events.ts';

/** Steps that wait for a slow reader; a reader that keeps up never has more than a few. */
const MOST_WAITING_STEPS = 4096;

/** Work that has begun: its events can be iterated, and its result awaited. */
export interface StartedRun<Result> extends AsyncIterable<FinetuneEvent> {
  readonly result: Promise<Result>;
}

/**
 * Starts `work` in the next microtask, so that the caller has the run before it begins. Events wait for their
 * first reader; the oldest steps are dropped where it does not keep up. An error rejects `result` and ends
 * the iteration.
 */
export function startRun<Result>(
  work: (emit: (event: FinetuneEvent) => void) => Promise<Result>,
): StartedRun<Result> {
  const events = eventQueue<FinetuneEvent>({
    isDroppable: ({ type }) => type === 'step',
    mostWaiting: MOST_WAITING_STEPS,
  });
  const result = Promise.resolve().then(() => work(events.push));
  result.then(
    () => events.close(),
    (error: unknown) => events.close(error),
  );
  return { result, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() };
}
