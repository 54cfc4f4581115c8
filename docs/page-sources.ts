// The one place where pages in a browser reach into the sources of the app. Node's modules that these sources
// import have stand-ins in a page (.vitepress/node-stand-ins.ts); nothing here calls them.
export { valuesOfOptions } from '../packages/qdylora/src/config/explicit-values.ts';
export { resolveRun, type RunConfig } from '../packages/qdylora/src/config/resolve-run.ts';
export { byteSizeText } from '../packages/qdylora/src/config/values/byte-size.ts';
export {
  JAVASCRIPT_BYTES,
  TRAINING_BYTES,
  type MemoryPart,
} from '../packages/qdylora/src/recipes/memory-plan/memory-forecast.ts';
export { planModel, type ModelPlan } from '../packages/qdylora/src/recipes/memory-plan/plan-model.ts';
export { plannedFromConfig } from '../packages/qdylora/src/recipes/memory-plan/planned-model.ts';
export { reportEvaluations, reportSteps } from '../packages/qdylora/src/recipes/outputs/run-report.ts';
export { readEventLines, type EventLine } from '../packages/qdylora/src/recipes/run-folder/event-line.ts';
export type { ReportData } from '../packages/qdylora/src/report/report-data.ts';
export { renderReport } from '../packages/qdylora/src/report/render-report.ts';
