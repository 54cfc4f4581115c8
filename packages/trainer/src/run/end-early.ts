import { QdyloraError, withNextStep } from '@qdylora/contract';
import { RESUME_NEWEST, type CheckpointKeeper } from '../checkpoints/open-keeper.ts';
import { saveLastStep } from './save-run.ts';
import type { TrainingRun } from './training-run.ts';

/** Ends an aborted run. @throws QdyloraError ABORTED if the signal has fired */
export function throwIfAborted({ options: { signal }, progress }: TrainingRun): void {
  if (!signal?.aborted) return;
  throw new QdyloraError('ABORTED', {
    where: 'train',
    problem: `The run was aborted after step ${progress.step}`,
    cause: signal.reason,
  });
}

/**
 * Saves the last whole step of a run that an error or an abort ends, so that nothing it learned is lost.
 *
 * @returns the error that `result` rejects with: ABORTED after an abort, else `cause` with the saved step
 */
export async function endEarly(run: TrainingRun, cause: unknown): Promise<unknown> {
  const { progress, options } = run;
  const isAborted = options.signal?.aborted === true || isAbortOfWorkers(cause);
  if (!isAborted && run.failedSave === cause) return cause;
  const failure = await saveIfWorthIt(run);
  const unsaved =
    failure !== null && run.savedAt < progress.step
      ? `its checkpoint could not be written: ${(failure as Error).message}${lastGood(failure, run)}`
      : null;
  return isAborted ? abortError(run, cause, { failure, unsaved }) : withProgress(run, cause, unsaved);
}

/** The checkpoint before weights that are not finite. The error of a full disk names it already. */
const lastGood = (failure: unknown, { keeper }: TrainingRun): string =>
  keeper?.newest && QdyloraError.isInstance(failure) && failure.code === 'NON_FINITE'
    ? ` The last good checkpoint is ${keeper.newest}.`
    : '';

/** Whether all workers agreed to stop because one was aborted, which may be another one. */
const isAbortOfWorkers = (cause: unknown): boolean =>
  QdyloraError.isInstance(cause) && cause.code === 'ABORTED' && cause.details.isAgreed === true;

/** Saves the newest step if it is worth it. @returns the error of the save, or null */
async function saveIfWorthIt(run: TrainingRun): Promise<unknown> {
  if (!run.keeper || !run.isSavable || run.savedAt >= run.progress.step) return null;
  try {
    await saveLastStep(run);
    return null;
  } catch (error) {
    return error;
  }
}

interface FailedSave {
  readonly failure: unknown;
  readonly unsaved: string | null;
}

function abortError(
  { progress, keeper, options: { signal } }: TrainingRun,
  cause: unknown,
  { failure, unsaved }: FailedSave,
): QdyloraError {
  return new QdyloraError('ABORTED', {
    where: 'train',
    problem: `The run was aborted after step ${progress.step}${unsaved ? `; ${unsaved}` : ''}`,
    nextStep: keeper ? howToResume(keeper) : undefined,
    details: {
      step: progress.step,
      checkpoint: keeper?.newest ?? null,
      failure,
      ...agreementOf(cause),
    },
    cause: signal?.reason ?? cause,
  });
}

/** Details of an abort that all workers agreed on: the aborted worker. */
const agreementOf = (cause: unknown): object => {
  const { isAgreed, worker } = QdyloraError.isInstance(cause) ? cause.details : {};
  return isAgreed ? { isAgreed, worker } : {};
};

/** Adds to a `QdyloraError` what has been saved; an error of a callback stays the same object. */
function withProgress(run: TrainingRun, error: unknown, unsaved: string | null): unknown {
  const { keeper, progress } = run;
  if (!QdyloraError.isInstance(error) || !keeper) return error;
  if (unsaved) return withNextStep(error, `The run ended after step ${progress.step}; ${unsaved}`);
  const isSaved = run.isSavable && run.savedAt === progress.step && keeper.newest !== null;
  return isSaved
    ? withNextStep(error, `What was learned up to step ${progress.step} is kept. ${howToResume(keeper)}`)
    : error;
}

const howToResume = ({ newest }: CheckpointKeeper): string =>
  newest
    ? `Resume from ${newest} with resume_from_checkpoint.`
    : `No checkpoint was written: begin again with ${RESUME_NEWEST}, or in another output_dir.`;
