import { sortAdapterRows } from '../sorted-rows/sort-adapter-rows.ts';
import { isAdapted } from '../step/passes-of-step.ts';
import type { TrainingRun } from './training-run.ts';

/**
 * Whether the next step trains the largest rank alone. After its rows are sorted a run never does so again:
 * if it is extended, `wideSteps` grows, but a second sort would undo what small ranks have learned.
 */
export const isWideStep = ({ options: { wideSteps }, progress }: TrainingRun): boolean =>
  progress.step < wideSteps && progress.sortedAt === 0;

/** Whether the wide steps are over and the rows are not sorted yet. */
export const isSortDue = ({ options: { wideSteps }, progress }: TrainingRun): boolean =>
  wideSteps > 0 && wideSteps <= progress.step && progress.sortedAt === 0;

/**
 * Warns if a stop ends a run before the sort. Rows stay unsorted, so that a resumed run computes the bits of
 * the uninterrupted one.
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

/** Sorts the rows of the adapter and of the optimizer state. */
export async function sortRun(run: TrainingRun): Promise<void> {
  const { model, optimizer } = run.options;
  if (!isAdapted(model)) return;
  await sortAdapterRows(model, optimizer, () => {
    run.isSavable = false;
  });
  run.isSavable = true;
  run.progress.sortedAt = run.progress.step;
}
