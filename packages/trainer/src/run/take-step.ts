import { QdyloraError, shownValue } from '@qdylora/contract';
import type { LearningRateSchedule } from '../learning-rate/learning-rate-schedule.ts';
import type { WorkerRanks } from '../sharing/limited-ranks.ts';
import { levelsOfStep, type StepPlan, type StepPlanOptions } from '../step/passes-of-step.ts';
import type { OptimizerLedger } from '../optimizers/optimizer.ts';
import type { Pass } from '../step/run-pass.ts';
import { runStep, type StepOptions } from '../step/train-step.ts';
import { countOutcome } from './count-outcome.ts';
import { averageWith } from './loss-average.ts';
import { planStep } from './plan-step.ts';
import type { StepEvent } from './train-events.ts';
import { awaitCallback, type TrainingRun } from './training-run.ts';
import { isWideStep } from './wide-steps.ts';

/**
 * Takes one optimizer step: its passes, the update, the event and the callback.
 *
 * @throws QdyloraError ABORTED before an op if the signal fires; BAD_DATA and NON_FINITE_LOSS after too many
 * unusable steps.
 */
export async function takeStep(run: TrainingRun): Promise<void> {
  const { options, progress } = run;
  const { batches, optimizer, clock } = options;
  const index = progress.step;
  const start = clock();
  const pagingBefore = optimizer.ledger();
  const learningRate = rateAt(options.schedule, index);
  const levels = levelsOfStep(options.levels, index, progress.plateaus);
  const isWide = isWideStep(run);
  const { passes, rows, rank, ranks } = await planStep(index, options, { ...levels, isWide });
  const outcome = await runStep(passes, optimizer, {
    learningRate,
    rows: rowsWithin(rows, options.maxRanks),
    isWide,
    lossFactor: progress.lossScale?.scale,
    ...lastingOptions(run),
    dropout: { rng: run.dropout, step: index },
    beforeUpdate: () => {
      run.isSavable = false;
    },
  }).catch((error: unknown) => {
    run.isSavable ||= isRefusal(error);
    throw error;
  });
  run.isSavable = true;
  const stepSeconds = clock() - start;
  const { loss, gradNorm, tokens } = outcome;
  progress.step++;
  progress.epoch = batches.epochAt(index);
  progress.tokens += tokens;
  if (outcome.status === 'updated') progress.lossAverage = averageWith(progress.lossAverage, loss);
  const event: StepEvent = {
    type: 'step',
    step: progress.step,
    totalSteps: options.totalSteps,
    epoch: progress.epoch,
    loss,
    smoothedLoss: progress.lossAverage?.value ?? NaN,
    rank,
    ranks,
    ...levelsOfEvent(levels, passes),
    learningRate,
    ...(progress.lossScale && { lossScale: progress.lossScale.scale }),
    gradNorm,
    tokens,
    tokensPerSecond: stepSeconds > 0 ? tokens / stepSeconds : 0,
    stepSeconds,
    residentBytes: process.memoryUsage.rss(),
    ...pagingBetween(pagingBefore, optimizer.ledger()),
  };
  run.emit(event);
  countOutcome(run, outcome);
  await awaitCallback(run, options.onStep?.(event));
}

/** Errors of an optimizer's `step` that leave weights and state as they were. */
const isRefusal = (error: unknown): boolean =>
  QdyloraError.isInstance(error) && (error.code === 'OUT_OF_MEMORY' || error.code === 'BAD_ARGUMENT');

/** Options that are the same at every step of a run. */
const lastingOptions = ({ options, recorder }: TrainingRun): StepOptions => ({
  maxGradNorm: options.maxGradNorm,
  preconditioner: options.preconditioner,
  computeDtype: options.computeDtype,
  recompute: options.recompute,
  offload: options.offload,
  workers: options.workers,
  gradientSum: options.gradientSum,
  maxRanks: options.maxRanks,
  signal: options.signal,
  recorder,
});

/** The level of the step, and that of its students at another level. */
const levelsOfEvent = ({ level, studentLevel = level }: StepPlanOptions, passes: readonly Pass[]) => ({
  ...(level !== undefined && { level }),
  ...(studentLevel !== level && passes.some(({ distillation }) => distillation) && { studentLevel }),
});

/** Rows that no worker trains keep their bits, even with weight decay. */
const rowsWithin = (rows: StepPlan['rows'], maxRanks: WorkerRanks | null | undefined): StepPlan['rows'] =>
  maxRanks ? [[0, Math.max(...maxRanks)]] : rows;

/** The numbers of a step event about paging, from the ledgers before and after the step. */
const pagingBetween = (before: OptimizerLedger, after: OptimizerLedger) => ({
  optimizerResidentBytes: after.residentBytes,
  optimizerPagedBytes: after.pagedBytes,
  pageIns: after.pageIns - before.pageIns,
  pageWaitSeconds: after.waitSeconds - before.waitSeconds,
});

function rateAt(schedule: LearningRateSchedule, step: number): number {
  const rate = schedule.at(step);
  if (Number.isFinite(rate) && rate >= 0) return rate;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'schedule',
    problem: `The learning rate must be a number of at least 0 (got ${shownValue(rate)} at step ${step})`,
  });
}
