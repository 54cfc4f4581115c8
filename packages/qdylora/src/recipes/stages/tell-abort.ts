import { QdyloraError } from '@qdylora/contract';

/** @throws QdyloraError ABORTED where the signal has fired; `where`: the part of the run that does not begin or go on */
export function assertNotAborted(signal: AbortSignal | undefined, where: string): void {
  if (signal?.aborted) throw new QdyloraError('ABORTED', { where, problem: 'expected to go on, got an abort', cause: signal.reason });
}

/** A part of a run in which no step is done. */
interface Part {
  /** `the run was stopped before its first step` */
  readonly problem: string;
  /** What is written by then, and how to go on. */
  readonly nextStep: string;
}

/** @throws QdyloraError ABORTED in the words of `part` where `work` throws one; whatever else it throws */
export async function tellingAbort<T>(part: Part, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (QdyloraError.isInstance(error) && error.code === 'ABORTED') throw new QdyloraError('ABORTED', { where: 'train', ...part, cause: error.cause });
    throw error;
  }
}

/** Reading rows, building the model, forecasting. */
export const beforeSteps = (resume: string | null): Part => ({
  problem: 'the run was stopped before its first step',
  nextStep: resume === null ? 'Nothing was written: begin again with the same command.' : 'Nothing was written, and what is in its folder is as it was: go on with the same command.',
});

/** Judging, sample texts, adapter and report. */
export const afterSteps = (checkpoint: string | null): Part => ({
  problem: 'the run was stopped after its last step, before its adapter and report were written',
  nextStep: `What it learned is in ${checkpoint}: --resume-from-checkpoint auto writes the rest without a further step.`,
});
