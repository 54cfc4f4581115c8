/** What a run says about itself. `step` counts finished optimizer steps: the first step's event has 1. */
export type TrainEvent = PlanEvent | StepEvent | EvalEvent | CheckpointEvent | WarningEvent | DoneEvent;

/** First event: what will be done. */
export interface PlanEvent {
  readonly type: 'plan';
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** Steps that were done before this process: 0, or where a resumed run goes on. */
  readonly startStep: number;
  /** The checkpoint that the run resumes from. */
  readonly resumedFrom: string | null;
  /**
   * The number of steps that the run was planned for when that checkpoint was written, where `totalSteps` is
   * another number; else null. From `startStep` on the learning rate follows the schedule of `totalSteps`.
   */
  readonly previousTotalSteps: number | null;
  /** Events that the run had emitted when that checkpoint was written: where a log of events is to be cut. */
  readonly eventsOffset: number;
  readonly trainableCount: number;
  /** Gradients and optimizer state in memory. */
  readonly optimizerBytes: number;
  /** Optimizer state on pages. */
  readonly optimizerPagedBytes: number;
}

export interface StepEvent {
  readonly type: 'step';
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  /** Mean over the counted tokens of the step. NaN or infinite where the step was skipped for that. */
  readonly loss: number;
  /** Moving average of the loss over about the last ten steps; skipped steps do not count. NaN before any. */
  readonly smoothedLoss: number;
  /** The drawn rank of the step; null without adapters. */
  readonly rank: number | null;
  /** The different ranks that the step trained, largest first; none without adapters. */
  readonly ranks: readonly number[];
  readonly learningRate: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** Tokens that went through the model. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly stepSeconds: number;
  /** Memory of the whole process, in bytes. */
  readonly residentBytes: number;
  /** Optimizer state in memory. */
  readonly optimizerResidentBytes: number;
  /** Optimizer state on pages; 0 for an optimizer that isn't paged. */
  readonly optimizerPagedBytes: number;
  /** Pages that this step brought in. */
  readonly pageIns: number;
  /** Part of `stepSeconds` spent on moving pages. */
  readonly pageWaitSeconds: number;
}

/** Held-out loss of one rank; rank null: the model without adapters. */
export interface RankLoss {
  readonly rank: number | null;
  readonly loss: number;
}

export interface EvalEvent {
  readonly type: 'eval';
  readonly step: number;
  readonly byRank: readonly RankLoss[];
  /**
   * The rank of the lowest loss, the smallest of equals; null without adapters, or where no loss is a number.
   */
  readonly bestRank: number | null;
  /**
   * Area under the rank curve: mean gain over the base, over log2 of the rank; null where the base was not
   * judged.
   */
  readonly aurac: number | null;
  /** What "best" is judged by; lower is better. */
  readonly score: number;
  readonly isBest: boolean;
}

export interface CheckpointEvent {
  readonly type: 'checkpoint';
  readonly path: string;
  readonly step: number;
  readonly kind: 'step' | 'best';
}

/**
 * Something went wrong that the run survives:
 * `NON_FINITE_LOSS` a step was skipped, because loss, gradient or optimizer state is infinite or no number;
 * `NO_TOKENS` a step had nothing to learn from; `DAMAGED_CHECKPOINT` a checkpoint was passed over;
 * `WRITE_FAILED` a checkpoint could not be written; `NON_FINITE_WEIGHTS` weights were not fit to be saved;
 * `STALE_LOCK` a dead process' lock was taken over; `DISK_FULL` the next checkpoint will find no room, or the
 * last one waits for some; `OTHER_KERNELS` a run goes on with kernels that round differently (another
 * processor, level or backend).
 */
export type WarningCode =
  | 'NON_FINITE_LOSS'
  | 'NO_TOKENS'
  | 'DAMAGED_CHECKPOINT'
  | 'WRITE_FAILED'
  | 'NON_FINITE_WEIGHTS'
  | 'STALE_LOCK'
  | 'DISK_FULL'
  | 'OTHER_KERNELS';
export interface WarningEvent {
  readonly type: 'warning';
  readonly code: WarningCode;
  readonly message: string;
  readonly step: number;
}

export interface DoneEvent {
  readonly type: 'done';
  readonly result: TrainResult;
}

export interface TrainResult {
  /** Optimizer steps done, over all processes of the run. */
  readonly step: number;
  /** Loss of the last step that changed something; NaN where there was none. */
  readonly finalLoss: number;
  /** Tokens that went through the model, over all processes of the run. */
  readonly tokens: number;
  readonly skippedSteps: number;
  /** Wall time of this process. */
  readonly seconds: number;
  readonly best: { readonly step: number; readonly score: number } | null;
  /** What ended the run before its last step; null where nothing did. */
  readonly stoppedBy: 'early_stopping' | 'callback' | null;
  /** The newest checkpoint; null where none was asked for. */
  readonly checkpoint: string | null;
}
