import { watchEvaluation } from './early-stopping.ts';
import { saveBest } from './save-run.ts';
import type { EvalEvent, RankLoss } from './train-events.ts';
import { isWideStep } from './wide-steps.ts';
import { awaitCallback, isDue, isLastStep, isPatienceOver, type TrainingRun } from './training-run.ts';

/** Whether the newest step must be evaluated and has not been yet. */
export const isEvaluationDue = (run: TrainingRun): boolean =>
  run.options.evaluate !== undefined &&
  run.progress.evaluatedAt < run.progress.step &&
  isDue(run, run.options.evaluate.every);

/** Evaluates the newest step, updates early stopping, and saves the adapter if it is the best so far. */
export async function evaluateRun(run: TrainingRun): Promise<void> {
  const { options, progress } = run;
  const { step } = progress;
  run.recorder?.release();
  // the other workers wait for this one at the end of the step
  const signal = options.workers ? undefined : options.signal;
  const evaluation = await options.evaluate!.run({ step, signal });
  const { byRank, score = mean(byRank.map(({ loss }) => loss)), aurac = null } = evaluation;
  // plateaus follow what was measured: whether a file could be written must change no number
  const isBest = score < (progress.lowestScore ?? Infinity);
  const written = progress.best;
  const isToWrite = score < (written?.score ?? Infinity);
  const event: EvalEvent = { type: 'eval', step, byRank, bestRank: bestRankOf(byRank), aurac, score, isBest };
  // until the rows are sorted, the ranks below the largest are not trained yet
  const isWide = isWideStep(run);
  const watched =
    options.earlyStopping && watchEvaluation(options.earlyStopping, progress.earlyStopping, event);
  if (watched && !isWide) progress.earlyStopping = watched;
  progress.evaluatedAt = step;
  progress.measured = options.evaluate!.measures ?? null;
  if (isToWrite) progress.best = { step, score };
  if (isBest) progress.lowestScore = score;
  else if (options.levels?.schedule === 'feedback' && !isWide) progress.plateaus++;
  run.emit(event);
  if (isPatienceOver(options, progress) && !isLastStep(run)) run.stoppedBy ??= 'early_stopping';
  try {
    await awaitCallback(run, options.onEvaluate?.(event));
  } finally {
    // a best adapter that could not be written does not count
    if (isToWrite && !(await saveBest(run, { step, score }))) progress.best = written;
  }
}

/** The rank of the lowest loss, the first one on a tie; null if every loss is NaN. */
const bestRankOf = (byRank: readonly RankLoss[]): number | null =>
  byRank.reduce<RankLoss>((best, one) => (one.loss < best.loss ? one : best), { rank: null, loss: Infinity })
    .rank;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
