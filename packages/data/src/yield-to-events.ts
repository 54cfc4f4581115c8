import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';

/** Message of the error for an aborted signal. */
export interface AbortedWork {
  readonly where: string;
  /** `the evaluation was aborted` */
  readonly problem: string;
}

/**
 * Gives timers and input a turn within long synchronous work.
 *
 * @throws QdyloraError ABORTED with the signal's reason as cause
 */
export async function yieldToEvents(signal: AbortSignal | undefined, work: AbortedWork): Promise<void> {
  await setImmediate();
  if (signal?.aborted) throw new QdyloraError('ABORTED', { ...work, cause: signal.reason });
}

/** Milliseconds of reading between two checks of the signal. */
const TURN_MS = 30;

/**
 * `yieldToEvents` between rows of a dataset: at the first row, then whenever 30 ms have passed. Rows may have
 * any length, so their number is no measure of the time.
 */
export function rowTurns(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  let next = 0;
  return () => {
    if (performance.now() < next) return undefined;
    return yieldBetweenRows(signal).then(() => {
      next = performance.now() + TURN_MS;
    });
  };
}

/** `yieldToEvents` between rows of a dataset. */
export const yieldBetweenRows = (signal: AbortSignal | undefined): Promise<void> =>
  yieldToEvents(signal, { where: 'data', problem: 'The signal was aborted while rows were read' });
