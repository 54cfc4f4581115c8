import { snakeCased } from '@qdylora/contract';
import { canonicalJson, writeFileDurably } from '@qdylora/checkpoint';
import type { LevelReport, MeasuredLoss, RankReport, RankRow } from '@qdylora/eval';
import { STORED_LEVEL } from '@qdylora/quant';
import type { TrainResult } from '@qdylora/trainer';
import { isEachRowTwice } from '../../config/distinct-rows.ts';
import type { RunConfig } from '../../config/resolve-run.ts';
import { isComparable } from '../../report/read-ranks.ts';
import type { ReportData, ReportEvaluation, ReportSamples, ReportStep } from '../../report/report-data.ts';
import { renderReport } from '../../report/render-report.ts';
import { shortQuantizationText } from '../adapter/base-quantization.ts';
import { finishOffer, type FinishOffer } from './finish-offer.ts';
import type { RateReport } from './rate-report.ts';
import type { BudgetReport } from '../budgets/budget-report.ts';
import type { Judgement } from '../run/judging/judgement.ts';
import type { EventLine } from '../run-folder/event-line.ts';

/** Held-out losses at one quantization level. `base`: without the adapter. */
export interface LevelLosses {
  readonly level: number;
  readonly base: MeasuredLoss | null;
  readonly ranks: readonly (MeasuredLoss & { readonly rank: number })[];
}

/** The numbers of a finished run: the content of `report.json`. */
export interface RunReport {
  readonly model: string;
  readonly method: string;
  readonly steps: number;
  readonly tokens: number;
  readonly finalLoss: number;
  /** Wall time of the steps of the last process; earlier processes of a resumed run are not counted. */
  readonly seconds: number;
  readonly skippedSteps: number;
  /** What ended the run before its last step; null where nothing did. */
  readonly stoppedBy: TrainResult['stoppedBy'];
  /** The evaluations between steps, over all processes of the run: the curve of the best rank. */
  readonly evaluations: readonly ReportEvaluation[];
  /** Held-out loss without the adapter; null where nothing is held out. */
  readonly base: MeasuredLoss | null;
  /** Held-out loss of a model that was trained as a whole. */
  readonly heldOut: MeasuredLoss | null;
  /** One row a rank, rising; none where nothing is held out. */
  readonly ranks: readonly RankRow[];
  /** The same at each quantization level, in bits a weight; missing where the run has one level. */
  readonly levels?: readonly LevelLosses[];
  readonly bestRank: number | null;
  readonly smallestGoodRank: number | null;
  readonly confidenceSet: readonly number[];
  readonly aurac: number | null;
  readonly auracLinear: number | null;
  readonly detectableDifference: number | null;
  /** Held-out rows with a counted token; copies of a row count once. */
  readonly heldOutExamples: number;
  readonly heldOutTokens: number;
  /** How near the learning rate was to the edge. */
  readonly learningRate: RateReport;
  /** What it would take to train the recommended rank alone; null where there is nothing to offer. */
  readonly finish: FinishOffer | null;
  /** The adapter cut to the sizes of `eval_budgets`, with a rank for each layer; null without them. */
  readonly budgets: BudgetReport | null;
  readonly samples: ReportSamples;
  /** Notes for the reader, such as that nothing was held out. */
  readonly notes: readonly string[];
}

export interface ReportParts {
  readonly config: RunConfig & { readonly outputDir: string };
  readonly modelName: string;
  readonly result: TrainResult;
  readonly judgement: Judgement | null;
  readonly budgets: BudgetReport | null;
  readonly rate: RateReport;
  /** All events of the run, also those of earlier processes. */
  readonly events: readonly EventLine[];
  readonly samples: ReportSamples;
  readonly notes: readonly string[];
}

export function runReport({
  config,
  modelName,
  result,
  judgement,
  budgets,
  rate,
  events,
  samples,
  notes,
}: ReportParts): RunReport {
  const ranks: RankReport | null = judgement?.ranks ?? null;
  const whole = judgement?.whole ?? null;
  const { step: steps, tokens, finalLoss, seconds, skippedSteps, stoppedBy } = result;
  return {
    model: modelName,
    method: config.method,
    steps,
    tokens,
    finalLoss,
    seconds,
    skippedSteps,
    stoppedBy,
    evaluations: reportEvaluations(events),
    base: ranks?.base ?? null,
    heldOut: whole && {
      loss: whole.loss,
      standardError: whole.standardError,
      perplexity: whole.perplexity,
    },
    ranks: ranks?.ranks ?? [],
    ...(judgement?.levels && { levels: judgement.levels.map(levelLosses) }),
    bestRank: ranks?.bestRank ?? null,
    smallestGoodRank: ranks && isComparable(ranks) ? ranks.smallestGoodRank : null,
    confidenceSet: ranks?.confidenceSet ?? [],
    aurac: ranks?.aurac ?? null,
    auracLinear: ranks?.auracLinear ?? null,
    detectableDifference: ranks?.detectableDifference ?? null,
    heldOutExamples: (ranks ?? whole)?.examples ?? 0,
    heldOutTokens: (ranks ?? whole)?.tokens ?? 0,
    learningRate: rate,
    finish: finishOffer(config.outputDir, { judgement, events, runSteps: steps }),
    budgets,
    samples,
    notes,
  };
}

const levelLosses = ({ level, report: { base, ranks } }: LevelReport): LevelLosses => ({
  level,
  base,
  ranks: ranks.map(({ rank, loss, standardError, perplexity }) => ({
    rank,
    loss,
    standardError,
    perplexity,
  })),
});

/** Writes `report.json` and `report.html`. */
export function writeReports(
  paths: { readonly reportJson: string; readonly reportHtml: string },
  report: RunReport,
  page: ReportData,
): void {
  writeFileDurably(paths.reportJson, [Buffer.from(canonicalJson(snakeCased(report)))]);
  writeFileDurably(paths.reportHtml, [Buffer.from(renderReport(page))]);
}

/** The data of `report.html`. */
export function reportPage(
  parts: ReportParts,
  { finish }: Pick<RunReport, 'finish'>,
  nextCommand: string | null,
): ReportData {
  const { config, modelName, judgement, budgets, rate, events, samples, notes } = parts;
  return {
    model: modelName,
    dataset: config.dataset?.join(', ') ?? null,
    settings: settingsOf(parts),
    steps: reportSteps(events),
    evaluations: reportEvaluations(events),
    ranks: judgement?.ranks ?? null,
    budgets,
    levels: judgement?.levels,
    heldOut: judgement?.whole ?? null,
    samples,
    rate,
    notes,
    nextCommand,
    finish,
  };
}

const distillationSettings = ({ distillation, distillationStudent }: RunConfig): [string, unknown][] =>
  distillation ? [['Distillation', `${distillation}, ${STUDENTS[distillationStudent]}`]] : [];

const STUDENTS = { smallest: 'smallest rank', drawn: 'drawn rank', both: 'smallest and drawn rank' } as const;

function settingsOf({ config, result }: ReportParts): ReportData['settings'] {
  const {
    method,
    ranks,
    loraScaling,
    loraAlpha,
    rankSchedule,
    maxRankByWorker,
    quantizationLevels,
    learningRate,
    lrScheduler,
    microBatchSize,
    gradientAccumulationSteps,
    maxSeqLength,
    computeDtype,
    seed,
  } = config;
  const adapter: [string, unknown][] = ranks
    ? [
        ['Ranks', ranks.join(', ')],
        ['Scaling', `${loraScaling}, alpha ${loraAlpha}`],
        ...(ranks.length > 1 ? [['Rank schedule', rankSchedule] as [string, unknown]] : []),
        ...(maxRankByWorker
          ? [['Largest rank by worker', maxRankByWorker.join(', ')] as [string, unknown]]
          : []),
        ...distillationSettings(config),
      ]
    : [];
  const settings: (readonly [string, unknown])[] = [
    ['Method', method],
    ...adapter,
    ['Base weights', shortQuantizationText(config)],
    ...(quantizationLevels.some((level) => level !== STORED_LEVEL)
      ? [['Quantization levels', levelsText(config)] as const]
      : []),
    ['Steps', result.step],
    ['Tokens', result.tokens.toLocaleString('en-US')],
    [
      'Rows a step',
      `${microBatchSize} × ${gradientAccumulationSteps}${isEachRowTwice(config) ? ', each twice' : ''}`,
    ],
    ['Longest row', `${maxSeqLength} tokens`],
    ['Learning rate', `${learningRate}, ${lrScheduler}`],
    ['Compute', computeDtype],
    ['Seed', seed],
  ];
  return settings.map(([name, value]) => ({ name, value: String(value) }));
}

/** The levels, and how the steps choose among several. */
const levelsText = ({ quantizationLevels, levelSchedule }: RunConfig): string =>
  `${quantizationLevels.join(', ')} bits${quantizationLevels.length > 1 ? `, ${levelSchedule}` : ''}`;

/** The evaluations of a run. */
export const reportEvaluations = (events: readonly EventLine[]): ReportEvaluation[] =>
  events
    .filter((event) => event.type === 'eval')
    .map(({ step, by_rank: byRank, best_rank: bestRank, aurac }) => ({
      step,
      byRank: byRank.map(({ rank, loss }) => ({ rank, loss: loss ?? NaN })),
      bestRank,
      aurac,
    }));

/** The steps of a run. */
export const reportSteps = (events: readonly EventLine[]): ReportStep[] =>
  events
    .filter((event) => event.type === 'step')
    .map(({ step, loss, ranks, learning_rate: learningRate }) => ({
      step,
      loss: loss ?? NaN,
      ranks,
      learningRate,
    }));
