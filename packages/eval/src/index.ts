export { adapterBytes } from './ranks/adapter-bytes.ts';
export { chooseRank, type RankChoice } from './ranks/choose-rank.ts';
export type { EvalBatch, EvalModel, EvalView } from './eval-model.ts';
export type { EvalProgress, EvalTask, MeasureOptions } from './eval-task.ts';
export type { ExampleLosses } from './example-losses.ts';
export { groupByTokenBudget } from './group-by-token-budget.ts';
export { lossOver, type LossReport } from './loss-over.ts';
export { DEFAULT_TOKENS_PER_BATCH, perplexity, type PerplexityOptions } from './perplexity.ts';
export type { RankLosses } from './ranks/rank-losses.ts';
export {
  rankReport,
  type MeasuredLoss,
  type RankReport,
  type RankReportParts,
  type RankRow,
} from './ranks/rank-report.ts';
export { rankReportJson } from './ranks/rank-report-json.ts';
export { aurac, type RankAxis } from './statistics/aurac.ts';
export { holmBonferroni } from './statistics/holm-bonferroni.ts';
export { pairedTTest, type PairedDifference } from './statistics/paired-t-test.ts';
export { ratioEstimate, type RatioEstimate } from './statistics/ratio-estimate.ts';
export { studentTPValue } from './statistics/student-t-p-value.ts';
export { sweepRanks, type SweepOptions } from './ranks/sweep-ranks.ts';
