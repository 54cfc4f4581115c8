import { sortAdapterRows } from '../sorted-rows/sort-adapter-rows.ts';
import { isAdapted } from '../step/passes-of-step.ts';
import type { TrainingRun } from './training-run.ts';

/**
 * Whether the next step trains the largest rank alone. A run whose rows are sorted never does again: extended
 * with more steps it has a larger `wideSteps`, but a second sort would undo what small ranks have learned.
 */
export const isWideStep = ({ options: { wideSteps }, progress }: TrainingRun): boolean =>
  progress.step < wideSteps && progress.sortedAt === 0;

/** Whether the wide steps are over and the rows are not sorted yet. */
export const isSortDue = ({ options: { wideSteps }, progress }: TrainingRun): boolean =>
  wideSteps > 0 && wideSteps <= progress.step && progress.sortedAt === 0;

/**
 * Warns where a stop ends a run before the sort. Rows stay unsorted, so that a resumed run computes what the
 * uninterrupted run would have.
 */
export function warnOfUnsortedRows(run: TrainingRun): void {
  const { step } = run.progress;
  if (step === 0 || !isWideStep(run)) return;
  const { wideSteps } = run.options;
  run.warn(
    'UNSORTED_ROWS',
    `The run ended at step ${step}, before its rows are sorted at step ${wideSteps}. Only the largest rank ` +
      'is trained; smaller ranks are not. Resume the run, or use its largest rank alone.',
  );
}

/** Sorts the rows of the adapter, with the states of the optimizer. */
export async function sortRun(run: TrainingRun): Promise<void> {
  const { model, optimizer } = run.options;
  if (!isAdapted(model)) return;
  await sortAdapterRows(model, optimizer, () => {
    run.isKeepable = false;
  });
  run.isKeepable = true;
  run.progress.sortedAt = run.progress.step;
}
