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

/**
 * Number of rows between two checks of the signal, and two turns of the event loop: about 30 ms of GSM8K on 2
 * cores.
 */
export const ROWS_PER_TURN = 64;

/** `yieldToEvents` between rows of a dataset. */
export const yieldBetweenRows = (signal: AbortSignal | undefined): Promise<void> =>
  yieldToEvents(signal, { where: 'data', problem: 'The signal was aborted while rows were read' });
