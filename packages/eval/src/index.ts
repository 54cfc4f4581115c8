export { adapterBytes } from './adapter-bytes.ts';
export { chooseRank, type RankChoice, type RankLosses } from './choose-rank.ts';
export type { EvalBatch, EvalModel, EvalView } from './eval-model.ts';
export type { EvalTask, MeasureOptions } from './eval-task.ts';
export type { ExampleLosses } from './example-losses.ts';
export { groupByLength } from './group-by-length.ts';
export {
  DEFAULT_TOKENS_PER_BATCH,
  lossOver,
  perplexity,
  type LossReport,
  type PerplexityOptions,
} from './perplexity.ts';
export {
  rankReport,
  rankReportJson,
  type MeasuredLoss,
  type RankReport,
  type RankReportParts,
  type RankRow,
} from './rank-report.ts';
export { sweepRanks, type SweepOptions } from './rank-sweep.ts';
export { aurac, type RankAxis } from './statistics/aurac.ts';
export { holmAdjusted } from './statistics/holm.ts';
export { pairedDifference, type PairedDifference } from './statistics/paired-difference.ts';
export { ratioMean, type RatioMean } from './statistics/ratio-mean.ts';
export { studentTwoSided } from './statistics/student-t.ts';
