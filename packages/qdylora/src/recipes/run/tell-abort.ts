import { QdyloraError, withNextStep } from '@qdylora/contract';

/**
 * @throws QdyloraError ABORTED where the signal has fired; `where`: the part of the run that does not begin
 * or go on
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
  /** `the run was stopped before its first step` */
  readonly problem: string;
  /** What is written by then, and how to go on. */
  readonly nextStep: string;
  /** True where an error loses nothing that `nextStep` does not bring back: then it says so too. */
  readonly isKept?: boolean;
}

/**
 * @throws QdyloraError ABORTED in the words of `part` where `work` throws one; whatever else it throws, with
 * the next step of `part` beside its own where that still holds
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
  problem: 'the run was stopped before its first step',
  nextStep:
    resume === null
      ? 'Nothing was written: begin again with the same command.'
      : 'Nothing was written, and what is in its folder is as it was: go on with the same command.',
});

/** Judging, sample texts, adapter and report. */
export const afterSteps = (checkpoint: string | null): Part => ({
  problem: 'the run was stopped after its last step, before its adapter and report were written',
  nextStep:
    `What it learned is in ${checkpoint}: the same command with --resume-from-checkpoint auto ` +
    `writes adapter and report without a further step.`,
  isKept: true,
});
