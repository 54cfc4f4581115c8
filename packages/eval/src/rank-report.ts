import {
  anyValue,
  checkOptions,
  numberWithin,
  orNull,
  objectWith,
  required,
  someFunction,
  someText,
  type OptionRules,
} from '@qdylora/contract';
import { assertMeasured, chooseRank, type RankLosses } from './choose-rank.ts';
import type { ExampleLosses } from './example-losses.ts';
import { aurac } from './statistics/aurac.ts';
import { holmAdjusted } from './statistics/holm.ts';
import { pairedDifference, type PairedDifference } from './statistics/paired-difference.ts';
import { ratioMean } from './statistics/ratio-mean.ts';

/** Held-out loss of one model: mean over tokens, its standard error clustered by example, and exp(loss). */
export interface MeasuredLoss {
  readonly loss: number;
  readonly standardError: number;
  readonly perplexity: number;
}

export interface RankRow extends MeasuredLoss {
  readonly rank: number;
  /**
   * Loss minus the loss without an adapter (negative: better), paired by example, p adjusted over all ranks;
   * null where the base was not measured.
   */
  readonly versusBase: PairedDifference | null;
  /** Loss minus the best rank's, likewise. */
  readonly versusBest: PairedDifference;
  /** Of an adapter cut at this rank, in float32; null where not known. */
  readonly adapterBytes: number | null;
  /** These examples cannot tell it from the best. */
  readonly notWorse: boolean;
}

/** What one sweep over the ranks of an adapter has shown. */
export interface RankReport {
  readonly task: string;
  /** Examples with a counted token. */
  readonly examples: number;
  /** Counted tokens. */
  readonly tokens: number;
  /** Level of all comparisons together. */
  readonly alpha: number;
  readonly base: MeasuredLoss | null;
  /** Rising ranks. */
  readonly ranks: readonly RankRow[];
  readonly bestRank: number;
  readonly smallestGoodRank: number;
  readonly confidenceSet: readonly number[];
  /**
   * Mean gain over the base, over log2 of the rank (and over the rank itself); null where the base was not
   * measured.
   */
  readonly aurac: number | null;
  readonly auracLinear: number | null;
  /**
   * A true difference of this size from the best would be found four times in five, at α = 5 % for one
   * comparison: "not worse" means nothing finer. of the least certain rank; null for one rank.
   */
  readonly detectableDifference: number | null;
}

export interface RankReportParts {
  readonly task: string;
  /** One entry a rank, in any order. */
  readonly measured: readonly RankLosses[];
  readonly base: ExampleLosses | null;
  /** 0.05 by default. */
  readonly alpha?: number;
  readonly adapterBytes?: (rank: number) => number | null;
}

const RULES: OptionRules<RankReportParts> = {
  task: required(someText),
  measured: required(anyValue),
  base: required(orNull(objectWith())),
  alpha: numberWithin({ above: 0, below: 1 }),
  adapterBytes: someFunction,
};

/**
 * z(0.975) + z(0.8): standard errors between nothing and a difference that a two-sided test at 5 % finds with
 * power 80 %.
 */
const DETECTABLE_STANDARD_ERRORS = 1.959964 + 0.841621;

/**
 * Turns the losses of every example at every rank into means, errors, comparisons and a choice. @throws
 * QdyloraError as `chooseRank` does; BAD_ARGUMENT for parts that are unknown or of another kind
 */
export function rankReport(parts: RankReportParts): RankReport {
  checkOptions('rank-report', parts, RULES);
  assertMeasured('rank-report', parts.measured);
  const { task, measured, base, alpha = 0.05, adapterBytes = () => null } = parts;
  const sorted = [...measured].sort((a, b) => a.rank - b.rank);
  const { versusBest, confidenceSet, bestRank, smallestGoodRank } = chooseRank(sorted, alpha);
  const versusBase = base && againstBase(sorted, base);
  const baseLoss = base && measuredLoss(base);
  const ranks = sorted.map(({ rank, losses }, i): RankRow => ({
    rank,
    ...measuredLoss(losses),
    versusBase: versusBase?.[i] ?? null,
    versusBest: versusBest[i]!,
    adapterBytes: adapterBytes(rank),
    notWorse: confidenceSet.includes(rank),
  }));
  const area = (axis: 'log2' | 'linear'): number | null =>
    baseLoss &&
    aurac(
      ranks.map(({ rank }) => rank),
      ranks.map(({ loss }) => baseLoss.loss - loss),
      axis,
    );
  const { counts } = sorted[0]!.losses;
  const errors = ranks
    .filter(({ rank, loss }) => rank !== bestRank && Number.isFinite(loss))
    .map(({ versusBest: { standardError } }) => standardError);
  return {
    task,
    examples: counts.filter((count) => count > 0).length,
    tokens: counts.reduce((sum, count) => sum + count, 0),
    alpha,
    base: baseLoss,
    ranks,
    bestRank,
    smallestGoodRank,
    confidenceSet,
    aurac: area('log2'),
    auracLinear: area('linear'),
    detectableDifference: errors.length === 0 ? null : DETECTABLE_STANDARD_ERRORS * Math.max(...errors),
  };
}

function measuredLoss(losses: ExampleLosses): MeasuredLoss {
  const { mean, standardError } = ratioMean(losses);
  return { loss: mean, standardError, perplexity: Math.exp(mean) };
}

function againstBase(measured: readonly RankLosses[], base: ExampleLosses): PairedDifference[] {
  const differences = measured.map(({ losses }) => pairedDifference(losses, base));
  const adjusted = holmAdjusted(differences.map(({ pValue }) => pValue));
  return differences.map((difference, i) => ({ ...difference, pValue: adjusted[i]! }));
}

/** The report as JSON values: snake_case keys, null for what is no number. */
export const rankReportJson = (report: RankReport): Record<string, unknown> =>
  snakeCased(report) as Record<string, unknown>;

function snakeCased(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}
