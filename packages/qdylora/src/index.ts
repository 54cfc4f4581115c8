export type { RunConfig, RunOptions } from './config/resolve-run.ts';
export { evaluate, type EvaluateOptions, type Evaluation, type EvaluationRow } from './recipes/evaluate.ts';
export type { RecipeHooks, RecipeProgress } from './recipes/hooks.ts';
export {
  evaluateTasks,
  type EvaluateTasksOptions,
  type TaskEvaluation,
} from './recipes/tasks/evaluate-tasks.ts';
export type { TaskRace, TaskResults } from './report/read-tasks.ts';
export type { TaskRow } from './recipes/tasks/task-rows.ts';
export { exportAdapter, type ExportAdapterOptions, type ExportedAdapter } from './recipes/export-adapter.ts';
export { finishRank, type FinishOptions } from './recipes/finish-rank.ts';
export { finetune, type FinetuneOptions, type FinetuneResult, type FinetuneRun } from './recipes/finetune.ts';
export type {
  FinetuneEvent,
  ForecastEvent,
  LogWarningEvent,
  MemoryEvent,
  NoticeEvent,
  PhaseEvent,
  ReadyEvent,
  ReportEvent,
  RunFiles,
} from './recipes/run-folder/finetune-events.ts';
export { mergeAdapter, type MergeAdapterOptions, type MergedModel } from './recipes/merge-adapter.ts';
export { tuneLearningRate, type TunedRate, type TuneOptions } from './recipes/tune-learning-rate.ts';
export { planMemory, type MemoryPlan, type PlanMemoryOptions } from './recipes/plan-memory.ts';
export {
  quantizeFolder,
  type QuantizedFolder,
  type QuantizeFolderOptions,
} from './recipes/quantize-folder.ts';
export type { MemoryForecast, MemoryPart } from './recipes/memory-plan/memory-forecast.ts';
export type { RunReport } from './recipes/outputs/run-report.ts';
export type { BackendChoice } from './recipes/opening/choose-backend.ts';
