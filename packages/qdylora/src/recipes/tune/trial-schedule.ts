import type { LearningRateSchedule } from '@qdylora/trainer';

/** The schedule of the run that is tuned. */
export interface RunSchedule {
  readonly schedule: LearningRateSchedule;
  readonly totalSteps: number;
  /** The learning rate of the run, which the schedule reaches after its warm-up. */
  readonly learningRate: number;
}

/** The longest trial. */
export interface TrialLength {
  readonly steps: number;
  readonly warmupSteps: number;
}

/**
 * The factor on a candidate's rate at each step: the schedule of the run in the length of the longest trial.
 * At a constant rate, low rates look better than they are at the end of a run that lets its rate fall.
 *
 * The warm-up rises from 1 / (warmupSteps + 1): unlike that of a run it has no step at rate 0.
 */
export function trialSchedule(
  { schedule, totalSteps, learningRate }: RunSchedule,
  { steps, warmupSteps }: TrialLength,
): (step: number) => number {
  const runStepsPerStep = (totalSteps - schedule.warmupSteps) / Math.max(1, steps - warmupSteps);
  return (step) => {
    if (step < warmupSteps) return (step + 1) / (warmupSteps + 1);
    if (!(learningRate > 0) || runStepsPerStep <= 0) return 1;
    return (
      schedule.at(schedule.warmupSteps + Math.round((step - warmupSteps) * runStepsPerStep)) / learningRate
    );
  };
}
