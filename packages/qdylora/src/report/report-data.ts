import type { LevelReport, MeasuredLoss, RankReport } from '@qdylora/eval';
import type { BudgetReport } from '../recipes/budgets/budget-report.ts';
import type { FinishOffer } from '../recipes/outputs/finish-offer.ts';
import type { TaskResults } from './read-tasks.ts';
import type { RateReport } from '../recipes/outputs/rate-report.ts';

/** The data of a report. Equal data give equal bytes: a date is in it only if a setting contains one. */
export interface ReportData {
  /** Name of the base model, as a person would say it. */
  readonly model: string;
  /** What it was trained on; null where this is not known. */
  readonly dataset: string | null;
  /**
   * "What was run", in the order of reading: method, ranks, scaling, quantization, steps, tokens, learning
   * rate, …
   */
  readonly settings: readonly ReportSetting[];
  /** Optimizer steps in rising order; none where only an adapter was judged. */
  readonly steps: readonly ReportStep[];
  /** Evaluations between steps, in rising order; none where only an adapter was judged. */
  readonly evaluations?: readonly ReportEvaluation[];
  /** The sweep over the ranks; null where nothing was held out, or there are no ranks. */
  readonly ranks: RankReport | null;
  /** The adapter cut to several sizes with a rank for each layer; null or missing where none was measured. */
  readonly budgets?: BudgetReport | null;
  /** The sweep at each quantization level, rising; missing where there is one level. */
  readonly levels?: readonly LevelReport[];
  /** Held-out loss of a run without ranks (`method: none`). */
  readonly heldOut?: MeasuredLoss | null;
  /** Benchmark tasks; null or missing where none were judged. */
  readonly tasks?: TaskResults | null;
  readonly samples: ReportSamples;
  /** How near the learning rate was to the edge; null or missing where only an adapter was judged. */
  readonly rate?: RateReport | null;
  /** Further notes: skipped steps, a fallback, … One sentence each. */
  readonly notes: readonly string[];
  /** The command to try next. */
  readonly nextCommand: string | null;
  /** A finish of the recommended rank, to try instead. */
  readonly finish?: FinishOffer | null;
}

export interface ReportSetting {
  readonly name: string;
  readonly value: string;
}

/** One optimizer step. A loss that is not finite marks a skipped step. */
export interface ReportStep {
  readonly step: number;
  readonly loss: number;
  /** The different ranks that the step trained; none without adapters. */
  readonly ranks: readonly number[];
  readonly learningRate?: number;
}

/**
 * Held-out losses after a step; `bestRank` null: no adapter, or no finite loss. `aurac` null: the base was
 * not judged.
 */
export interface ReportEvaluation {
  readonly step: number;
  readonly byRank: readonly { readonly rank: number | null; readonly loss: number }[];
  readonly bestRank: number | null;
  readonly aurac: number | null;
}

/** Texts, or the reason why there are none, as a sentence. */
export type ReportSamples = { readonly prompts: readonly SamplePrompt[] } | { readonly missing: string };

export interface SamplePrompt {
  readonly prompt: string;
  /** What the data set gives as the answer. */
  readonly expected?: string | null;
  /** Rank null: the base, or a model that was trained as a whole. */
  readonly byRank: readonly { readonly rank: number | null; readonly text: string }[];
}
