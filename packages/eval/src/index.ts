export { adapterBytes } from './ranks/adapter-bytes.ts';
export { chooseRank, type PairedTest, type RankChoice } from './ranks/choose-rank.ts';
export type { EvalBatch, EvalModel, EvalView } from './eval-model.ts';
export type { EvalProgress, EvalTask, EvalWorkers, MeasureOptions } from './eval-task.ts';
export type { ExampleLosses } from './example-losses.ts';
export { groupByTokenBudget } from './group-by-token-budget.ts';
export { lossOver, type LossReport } from './loss-over.ts';
export { perplexity, type PerplexityOptions } from './perplexity.ts';
export type { RankLosses } from './ranks/rank-losses.ts';
export {
  DEFAULT_ALPHA,
  rankReport,
  type MeasuredLoss,
  type RankReport,
  type RankReportParts,
  type RankRow,
} from './ranks/rank-report.ts';
export { rankReportJson } from './ranks/rank-report-json.ts';
export { detectableDifference } from './statistics/detectable-difference.ts';
export {
  scoreReport,
  type DocumentScores,
  type MeasuredScore,
  type RankScores,
  type ScoreReport,
  type ScoreReportParts,
  type ScoreRow,
} from './ranks/score-report.ts';
export {
  raceRanks,
  RACE_SHARE,
  type DroppedRank,
  type RaceOptions,
  type RaceResult,
} from './ranks/race-ranks.ts';
export { aurac, type RankAxis } from './statistics/aurac.ts';
export { holmBonferroni } from './statistics/holm-bonferroni.ts';
export { mcNemarTest } from './statistics/mcnemar-test.ts';
export { pairedTTest, type PairedDifference } from './statistics/paired-t-test.ts';
export { ratioEstimate, type RatioEstimate } from './statistics/ratio-estimate.ts';
export { studentTPValue } from './statistics/student-t-p-value.ts';
export { effectiveSize, wilsonInterval, type ConfidenceInterval } from './statistics/wilson-interval.ts';
export { sweepLevels, type Grid, type LevelReport } from './ranks/sweep-levels.ts';
export { sweepRanks, type SweepOptions } from './ranks/sweep-ranks.ts';
export { DOCUMENT_SCALES, type DocumentScale } from './tasks/comparison/document-scores.ts';
export { compareRanks, type ComparisonOptions, type ScoredView } from './tasks/comparison/compare-ranks.ts';
export {
  recommendRanks,
  type RacedTask,
  type RankRecommendation,
} from './tasks/comparison/recommend-ranks.ts';
export { findTasks, TASK_NAMES, type ChosenTasks } from './tasks/built-in/find-tasks.ts';
export { defineTask } from './tasks/definition/define-task.ts';
export { readTaskYaml } from './tasks/definition/read-task-yaml.ts';
export type { OutputType } from './tasks/definition/output-type.ts';
export type { GroupDefinition, GroupMetric, TaskDefinition } from './tasks/definition/task-definition.ts';
export { readDocuments, type ReadSplit, type TaskDocuments } from './tasks/documents/task-documents.ts';
export { HARNESS_VERSION } from './tasks/harness-version.ts';
export { FEWSHOT_SEED } from './tasks/prompts/example-sampler.ts';
export type { PromptOptions } from './tasks/prompts/prompt-builder.ts';
export {
  buildRequests,
  fewshotCount,
  type JudgedDocument,
  type RequestOptions,
  type TaskRequests,
} from './tasks/requests/build-requests.ts';
export type { LogLikelihood, ModelRequest, ModelResponse } from './tasks/requests/model-request.ts';
export { sampleLine, taskHash } from './tasks/results/sample-lines.ts';
export {
  DEFAULT_RESAMPLES,
  scoreTask,
  type MetricResult,
  type Sample,
  type TaskScores,
} from './tasks/scoring/score-task.ts';
export { requestKey, type AnswerCache } from './tasks/answering/answer-cache.ts';
export { programsOf, withPassRates } from './tasks/scoring/pass-rates.ts';
export { answerRequests, type AnswerOptions, type Answers } from './tasks/answering/answer-requests.ts';
export {
  requestEncoder,
  tokensOfRequest,
  type EncodedRequest,
  type RequestEncoder,
} from './tasks/answering/request-encoder.ts';
export type { ScoredTokens, TokenModel, TokenScore } from './tasks/answering/token-model.ts';
export { resultsDocument, type RunFacts } from './tasks/results/results-document.ts';
export { scoreGroups, type GroupResult, type GroupScores } from './tasks/scoring/score-groups.ts';
