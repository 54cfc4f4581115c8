export { startFromActivations, type ActivationStartOptions } from './adapter-start/start-from-activations.ts';
export { startFromGradients, type GradientStartOptions } from './adapter-start/start-from-gradients.ts';
export { accumulateGradients, clearGradients, type AccumulateOptions } from './step/accumulate-gradients.ts';
export { fisherOfRows, type FisherOptions } from './fisher/fisher-of-rows.ts';
export { createPassRecorder, type PassRecorder } from './step/pass-recorder.ts';
export type { Pass, PassDistillation, PassOptions } from './step/run-pass.ts';
export { compressedGradients } from './sharing/compressed-gradients.ts';
export type { WorkerRanks } from './sharing/limited-ranks.ts';
export type { SumOrder } from './sharing/sum-order.ts';
export { librarySum, type GradientSum, type PackedGradients } from './sharing/gradient-sum.ts';
export type { ResumeFrom, SaveOptions } from './checkpoints/open-keeper.ts';
export { clipCoefficient, DEFAULT_MAX_GRAD_NORM, gradientNorm } from './step/clip-by-global-norm.ts';
export {
  DEFAULT_PATIENCE,
  type EarlyStoppingOptions,
  type EarlyStoppingState,
} from './run/early-stopping.ts';
export { eventQueue, type EventQueue, type EventQueueOptions } from './run/event-queue.ts';
export {
  learningRateSchedule,
  SCHEDULE_NAMES,
  type LearningRateSchedule,
  type ScheduleName,
  type ScheduleOptions,
} from './learning-rate/learning-rate-schedule.ts';
export {
  assertFolderFree,
  LOCK_FILE,
  lockFolder,
  thisProcess,
  type FolderLock,
  type ProcessIdentity,
} from './checkpoints/lock-folder.ts';
export type { LossArrays, LossBatch, LossModel, TrainingView } from './step/loss-model.ts';
export { adamw, type AdamwOptions } from './optimizers/adamw.ts';
export {
  adapterRowRates,
  RANK_RATES,
  WIDE_RATES,
  type AdapterRates,
  type RankRates,
  type WideRates,
} from './optimizers/adapter-row-rates.ts';
export type { RowRate, RowRates } from './optimizers/row-rates.ts';
export {
  createOptimizer,
  isPaged,
  OPTIMIZER_NAMES,
  stateNameOf,
  type OptimizerOptions,
} from './optimizers/create-optimizer.ts';
export { lion, type LionOptions } from './optimizers/lion.ts';
export { gradientArrays } from './optimizers/optimizer.ts';
export type {
  Optimizer,
  OptimizerLedger,
  OptimizerState,
  OptimizerUpdate,
  RowRange,
  SavedArray,
  SavedOptimizerState,
  StateArray,
  StepCounts,
} from './optimizers/optimizer.ts';
export type { PagingOptions } from './optimizers/paging/paged-states.ts';
export { sgd, type SgdOptions } from './optimizers/sgd.ts';
export {
  PRECONDITIONERS,
  prefixPreconditioner,
  type Preconditioner,
} from './preconditioner/prefix-preconditioner.ts';
export {
  isOnePart,
  levelsOfStep,
  passesOfStep,
  type SampledModel,
  type StepPlan,
  type StepPlanOptions,
} from './step/passes-of-step.ts';
export { listCheckpoints } from './checkpoints/checkpoint-folders.ts';
export {
  findCheckpoint,
  resumeState,
  type FoundCheckpoint,
  type Resumed,
} from './checkpoints/resume-state.ts';
export { freshProgress, type RunProgress } from './run/run-progress.ts';
export type { RunIdentity } from './checkpoints/run-state.ts';
export {
  OPTIMIZER_FILE,
  saveState,
  STATE_FILE,
  type CheckpointContents,
  type SaveStateOptions,
} from './checkpoints/save-state.ts';
export { startOptimizer } from './checkpoints/start-optimizer.ts';
export { sortAdapterRows } from './sorted-rows/sort-adapter-rows.ts';
export { splitBatch } from './step/split-batch.ts';
export { scalarsOfEvent } from './tensorboard/scalars-of-event.ts';
export {
  openTensorboard,
  type TensorboardLog,
  type TensorboardOptions,
} from './tensorboard/tensorboard-log.ts';
export * from './run/train-events.ts';
export {
  DEFAULT_BAD_STEPS,
  type CallbackResult,
  type EvaluateOptions,
  type StepBatches,
  type TrainCallbacks,
  type TrainOptions,
} from './run/train-options.ts';
export { firstLossScale, nextLossScale, type LossScale, type LossScaling } from './step/loss-scale.ts';
export {
  runStep,
  trainStep,
  type StepOptions,
  type StepOutcome,
  type StepStatus,
} from './step/train-step.ts';
export { train, type TrainRun } from './train.ts';
