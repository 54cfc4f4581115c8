import type { EarlyStoppingState } from './early-stopping.ts';
import type { LossAverage } from './loss-average.ts';
import type { LossScale } from '../step/loss-scale.ts';

/**
 * Progress of a run, apart from weights and optimizer state. Everything random derives from (seed, step), so
 * a run needs nothing else to resume.
 */
export interface RunProgress {
  /** Finished optimizer steps, skipped ones included; also the position in the data. */
  step: number;
  epoch: number;
  /** Tokens that went through the model. */
  tokens: number;
  /** Planned number of steps; null before the run begins, and in older checkpoints. */
  totalSteps: number | null;
  /** Loss of the last step that changed weights; NaN before the first one. */
  finalLoss: number;
  /** null before the first step that changed weights, and in older checkpoints. */
  lossAverage: LossAverage | null;
  skippedSteps: number;
  /** Non-finite steps since the last update, without overflows of the loss scale. */
  badInARow: number;
  /** Step of the last evaluation. */
  evaluatedAt: number;
  /** Step after which the rows of the adapter were last sorted; 0: never. */
  sortedAt: number;
  /** The best evaluation whose adapter could be written. */
  best: { step: number; score: number } | null;
  /** The lowest score so far, written or not; null before the first one that is a number. */
  lowestScore: number | null;
  /** `measures` of the last evaluation. null: not evaluated yet, no `measures`, or an older checkpoint. */
  measured: string | null;
  /** Evaluations that were not the best so far, if the quantization level follows them. */
  plateaus: number;
  /** null without early stopping. */
  earlyStopping: EarlyStoppingState | null;
  /** Loss scale of the next step; null without loss scaling. */
  lossScale: LossScale | null;
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
  sortedAt: 0,
  best: null,
  lowestScore: null,
  measured: null,
  plateaus: 0,
  earlyStopping: null,
  lossScale: null,
  events: 0,
});
