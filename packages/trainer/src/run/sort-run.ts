import { isAdapted } from '../step/passes-of-step.ts';
import { sortAdapterRows } from '../sorted-rows/sort-adapter-rows.ts';
import type { TrainingRun } from './training-run.ts';

/** Whether the rows are to be sorted after the newest step and have not been yet. */
export const isSortDue = ({ options: { sortRowsAfter = [] }, progress }: TrainingRun): boolean =>
  sortRowsAfter.some((step) => progress.sortedAt < step && step <= progress.step);

/** Sorts the rows of the adapter, with the states of the optimizer. */
export async function sortRun(run: TrainingRun): Promise<void> {
  const { model, optimizer } = run.options;
  if (!isAdapted(model)) return;
  run.isKeepable = false;
  await sortAdapterRows(model, optimizer);
  run.isKeepable = true;
  run.progress.sortedAt = run.progress.step;
}
