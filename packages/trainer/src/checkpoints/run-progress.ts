import type { EarlyStoppingState } from '../run/early-stopping.ts';
import type { LossAverage } from '../run/loss-average.ts';

/**
 * How far a run has come, besides weights and optimizer state. Everything random derives from (seed, step),
 * so a run needs nothing else to resume.
 */
export interface RunProgress {
  /** Optimizer steps done, skipped ones included: the place in the data. */
  step: number;
  epoch: number;
  /** Tokens that went through the model. */
  tokens: number;
  /** Number of steps that the run is planned for; null before it begins, and in older checkpoints. */
  totalSteps: number | null;
  /** Loss of the last step that changed something; NaN before there is one. */
  finalLoss: number;
  /** null before the first step that changed something, and in older checkpoints. */
  lossAverage: LossAverage | null;
  skippedSteps: number;
  /** Steps skipped as not finite since the last good one. */
  badInARow: number;
  /** Step of the last evaluation. */
  evaluatedAt: number;
  best: { step: number; score: number } | null;
  /** null where nothing is watched. */
  earlyStopping: EarlyStoppingState | null;
  /** Number of events emitted. */
  events: number;
}

/** The progress of a run that has not begun. */
export const freshProgress = (): RunProgress => ({
  step: 0,
  epoch: 0,
  tokens: 0,
  totalSteps: null,
  finalLoss: NaN,
  lossAverage: null,
  skippedSteps: 0,
  badInARow: 0,
  evaluatedAt: 0,
  best: null,
  earlyStopping: null,
  events: 0,
});
