/** An event of a run. `step` counts finished optimizer steps: the event of the first step has 1. */
export type TrainEvent = PlanEvent | StepEvent | EvalEvent | CheckpointEvent | WarningEvent | DoneEvent;

/** The first event: the plan of the run. */
export interface PlanEvent {
  readonly type: 'plan';
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** Steps done before this process: 0, or the step of the checkpoint that the run resumes from. */
  readonly startStep: number;
  /** The checkpoint that the run resumes from. */
  readonly resumedFrom: string | null;
  /**
   * The planned number of steps when that checkpoint was written, if it differs from `totalSteps`; else null.
   * From `startStep` on the learning rate follows the schedule of `totalSteps`.
   */
  readonly previousTotalSteps: number | null;
  /** Number of events emitted when that checkpoint was written; a log keeps that many and drops the rest. */
  readonly eventsOffset: number;
  readonly trainableCount: number;
  /** Gradients and optimizer state in memory. */
  readonly optimizerBytes: number;
  /** Optimizer state on pages. */
  readonly optimizerPagedBytes: number;
}

/** One optimizer step is done, or was skipped. */
export interface StepEvent {
  readonly type: 'step';
  readonly step: number;
  readonly totalSteps: number;
  /** From 0. */
  readonly epoch: number;
  /**
   * Mean over the counted tokens of the step, without student passes. If the step was skipped it may be NaN
   * or infinite; it is finite if only the gradient or the optimizer state is not.
   */
  readonly loss: number;
  /** Moving average of the loss over about the last ten steps; skipped steps do not count. NaN before any. */
  readonly smoothedLoss: number;
  /** The drawn rank, or another rank of the step if it was not trained; null without adapters. */
  readonly rank: number | null;
  /** The different ranks that the step trained, largest first; empty without adapters. */
  readonly ranks: readonly number[];
  /** The quantization level of the step, in bits per weight; missing in a run without `levels`. */
  readonly level?: number | undefined;
  /** The level of the step's extra passes that learn from the largest rank, if it differs from `level`. */
  readonly studentLevel?: number | undefined;
  readonly learningRate: number;
  /** Factor on the loss of this step; missing in a run without `lossScaling`. */
  readonly lossScale?: number | undefined;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
  /** Tokens that went through the model. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly stepSeconds: number;
  /** Resident set size of the process. */
  readonly residentBytes: number;
  /** Bytes of optimizer state in memory. */
  readonly optimizerResidentBytes: number;
  /** Bytes of optimizer state on pages; 0 for an optimizer that is not paged. */
  readonly optimizerPagedBytes: number;
  /** Pages that this step read. */
  readonly pageIns: number;
  /** Part of `stepSeconds` spent on reading and writing pages. */
  readonly pageWaitSeconds: number;
}

/** Held-out loss at one rank; rank null: the model without adapters. */
export interface RankLoss {
  readonly rank: number | null;
  readonly loss: number;
}

/** The model was evaluated on held-out rows. */
export interface EvalEvent {
  readonly type: 'eval';
  readonly step: number;
  readonly byRank: readonly RankLoss[];
  /** The rank of the lowest loss, the first one on a tie; null without adapters, or if every loss is NaN. */
  readonly bestRank: number | null;
  /**
   * Area under the rank curve: the mean gain over the base, over log2 of the rank; null if the base was
   * not evaluated.
   */
  readonly aurac: number | null;
  /** Decides which evaluation is the best; lower is better. */
  readonly score: number;
  readonly isBest: boolean;
}

/** A checkpoint, or a new best adapter, is complete on the disk. */
export interface CheckpointEvent {
  readonly type: 'checkpoint';
  readonly path: string;
  readonly step: number;
  /** `step`: a checkpoint to resume from; `best`: the adapter of the best evaluation so far. */
  readonly kind: 'step' | 'best';
}

/**
 * A problem that the run survives:
 * - `NON_FINITE_LOSS`: a step was skipped, because its loss, gradient or optimizer state is infinite or NaN;
 * - `NO_TOKENS`: a step had no token to learn from;
 * - `DAMAGED_CHECKPOINT`: a checkpoint was skipped;
 * - `WRITE_FAILED`: a checkpoint could not be written;
 * - `NON_FINITE_WEIGHTS`: weights or optimizer state were not finite, so they were not saved;
 * - `STALE_LOCK`: the lock of a process that has ended was taken over;
 * - `DISK_FULL`: the next checkpoint has no room, or the last one waits for room;
 * - `OTHER_KERNELS`: the run resumes with kernels that round differently (another processor, level or
 * backend);
 * - `OTHER_SUMS`: the run resumes with gradients added in another order, which rounds differently (with a
 * launcher or without one, or on another number of workers);
 * - `OTHER_EVALUATION`: the run resumes with other evaluated rows or ranks, so that scores are not compared;
 * - `SUPERSEDED_BEST`: `adapter-best` is not that of the checkpoint, so the best adapter starts over: later
 * steps wrote it, and it is set aside, or it is missing;
 * - `UNSORTED_ROWS`: a stop ended the run before `wideSteps`, so ranks below the largest are not trained.
 */
export type WarningCode =
  | 'NON_FINITE_LOSS'
  | 'NO_TOKENS'
  | 'DAMAGED_CHECKPOINT'
  | 'WRITE_FAILED'
  | 'NON_FINITE_WEIGHTS'
  | 'STALE_LOCK'
  | 'DISK_FULL'
  | 'OTHER_KERNELS'
  | 'OTHER_SUMS'
  | 'OTHER_EVALUATION'
  | 'SUPERSEDED_BEST'
  | 'UNSORTED_ROWS';
/** A warning before its step is known. */
export interface RunWarning {
  readonly code: WarningCode;
  readonly message: string;
}

/** A problem that the run survives: see `WarningCode`. */
export interface WarningEvent extends RunWarning {
  readonly type: 'warning';
  readonly step: number;
}

/** The last event of a run that ends without an error. */
export interface DoneEvent {
  readonly type: 'done';
  readonly result: TrainResult;
}

/** The outcome of a run. */
export interface TrainResult {
  /** Optimizer steps done, over all processes of the run. */
  readonly step: number;
  /** Loss of the last step that changed weights; NaN if there was none. */
  readonly finalLoss: number;
  /** Tokens that went through the model, over all processes of the run. */
  readonly tokens: number;
  /** Steps that changed no weight: they had no token to learn from, or a number that is not finite. */
  readonly skippedSteps: number;
  /** Wall time of this process. */
  readonly seconds: number;
  /** The best evaluation whose adapter could be written; null if there is none. */
  readonly best: { readonly step: number; readonly score: number } | null;
  /** What ended the run before `totalSteps`; null if nothing did. */
  readonly stoppedBy: 'early_stopping' | 'callback' | null;
  /** The newest checkpoint; null for a run without `save`. */
  readonly checkpoint: string | null;
}
