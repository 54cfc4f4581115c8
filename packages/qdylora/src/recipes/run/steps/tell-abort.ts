import { QdyloraError, withNextStep } from '@qdylora/contract';
import type { TrainResult } from '@qdylora/trainer';

/**
 * Ends the run if the signal has fired. `where`: the part of the run that does not start or continue.
 *
 * @throws QdyloraError ABORTED
 */
export function assertNotAborted(signal: AbortSignal | undefined, where: string): void {
  if (signal?.aborted)
    throw new QdyloraError('ABORTED', {
      where,
      problem: 'The run was aborted.',
      cause: signal.reason,
    });
}

/** A part of a run in which no step is done. */
interface Part {
  /** The command; train by default. */
  readonly where?: string;
  /** `The run was stopped before its first step` */
  readonly problem: string;
  /** The files written so far, and how to continue. */
  readonly nextStep: string;
  /** True where `nextStep` recovers everything also after an error; the error then names it too. */
  readonly isKept?: boolean;
}

/**
 * Runs `work`, and describes an abort in the words of `part`.
 *
 * @throws QdyloraError ABORTED with the problem and the next step of `part`; any other error of `work`, with
 * that next step where it still holds
 */
export async function tellingAbort<T>(
  { isKept = false, ...part }: Part,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!QdyloraError.isInstance(error)) throw error;
    if (error.code === 'ABORTED')
      throw new QdyloraError('ABORTED', { where: 'train', ...part, cause: error.cause });
    throw isKept ? withNextStep(error, part.nextStep) : error;
  }
}

/** Reading rows, building the model, forecasting. */
export const beforeSteps = (resume: string | null): Part => ({
  problem: 'The run was stopped before its first step',
  nextStep:
    resume === null
      ? 'Nothing was written. Start it again with the same command.'
      : 'Nothing was written, and its folder is unchanged. Continue with the same command.',
});

/** Trying learning rates, of which nothing is kept. */
export const duringSearch: Part = {
  where: 'tune',
  problem: 'The search was stopped',
  nextStep: 'Nothing was written, and the run file is unchanged. Start it again with the same command.',
};

/** Judging, sample texts, adapter and report. */
export const afterSteps = ({ checkpoint, stoppedBy, step }: TrainResult): Part => ({
  problem: 'The run was stopped after its last step, before its report was complete',
  nextStep:
    `The trained weights are in ${checkpoint}. The same command with --resume-from-checkpoint auto ` +
    (stoppedBy === 'callback'
      ? `goes on after step ${step}, since a callback ended the run there.` // no checkpoint says so
      : 'writes the adapter and the report without a further step.'),
  isKept: true,
});
