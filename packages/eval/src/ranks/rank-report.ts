import {
  anyValue,
  checkOptions,
  numberWithin,
  objectWith,
  orNull,
  required,
  someFunction,
  someText,
  type OptionRules,
} from '@qdylora/contract';
import { chooseRank, compareWithEach } from './choose-rank.ts';
import type { ExampleLosses } from '../example-losses.ts';
import { assertRankLosses, type RankLosses } from './rank-losses.ts';
import { aurac } from '../statistics/aurac.ts';
import { detectableDifference } from '../statistics/detectable-difference.ts';
import { pairedTTest, type PairedDifference } from '../statistics/paired-t-test.ts';
import { ratioEstimate } from '../statistics/ratio-estimate.ts';

/** Held-out loss of one model. */
export interface MeasuredLoss {
  /** Mean over all counted tokens, in nats. */
  readonly loss: number;
  /** Of `loss`, clustered by example; NaN for fewer than two examples. */
  readonly standardError: number;
  /** exp(loss) */
  readonly perplexity: number;
}

/** The held-out loss of one rank, compared with the base and with the best rank. */
export interface RankRow extends MeasuredLoss {
  readonly rank: number;
  /**
   * Loss minus the base's loss (negative: better), by a paired t-test, Holm-adjusted over all ranks. Null
   * where the base was not measured.
   */
  readonly versusBase: PairedDifference | null;
  /** Loss minus the best rank's loss, likewise. */
  readonly versusBest: PairedDifference;
  /** Bytes of an adapter cut at this rank, in float32; null if unknown. */
  readonly adapterBytes: number | null;
  /** The rank is in the confidence set: these examples do not distinguish it from the best. */
  readonly notWorse: boolean;
}

/** Error rate of the choice of a rank. */
export const DEFAULT_ALPHA = 0.05;

/** Results of one sweep over the ranks of an adapter. */
export interface RankReport {
  readonly task: string;
  /** Examples with a counted token; copies of an example count once. */
  readonly examples: number;
  /** Counted tokens. */
  readonly tokens: number;
  /** Family-wise significance level of the comparisons. */
  readonly alpha: number;
  /** Null if the base was not measured. */
  readonly base: MeasuredLoss | null;
  /** One row a rank, rising. */
  readonly ranks: readonly RankRow[];
  readonly bestRank: number;
  readonly smallestGoodRank: number;
  readonly confidenceSet: readonly number[];
  /** Mean gain over the base, over log2 of the rank; null if the base was not measured. */
  readonly aurac: number | null;
  /** Mean gain over the base, over the rank; null if the base was not measured. */
  readonly auracLinear: number | null;
  /**
   * Minimum detectable difference from the best rank, at the rank with the largest standard error: a true
   * difference of this size is found with power 80 % at α = 5 % for one comparison. Null for one rank.
   */
  readonly detectableDifference: number | null;
}

/** The measurements that `rankReport` compares: the loss of every example at every rank. */
export interface RankReportParts {
  /** The name of the task, for the report. */
  readonly task: string;
  /** One entry a rank, in any order. */
  readonly measured: readonly RankLosses[];
  /** The model without its adapter on the same examples; null if it was not measured. */
  readonly base: ExampleLosses | null;
  /** `DEFAULT_ALPHA` by default. */
  readonly alpha?: number;
  /** Bytes of an adapter cut at a rank, in float32. Unknown by default. */
  readonly adapterBytes?: (rank: number) => number | null;
}

const RULES: OptionRules<RankReportParts> = {
  task: required(someText),
  measured: required(anyValue), // `assertRankLosses` checks it
  base: required(orNull(objectWith())),
  alpha: numberWithin({ above: 0, below: 1 }),
  adapterBytes: someFunction,
};

/**
 * Means, standard errors, comparisons and the choice of a rank, from the losses of every example at every
 * rank.
 *
 * @throws QdyloraError BAD_ARGUMENT for missing, unknown or wrong parts; otherwise as `chooseRank`
 * @example
 * rankReport({ task: 'perplexity', measured: [{ rank: 4, losses: a }, { rank: 8, losses: b }], base: null });
 */
export function rankReport(parts: RankReportParts): RankReport {
  checkOptions('rank-report', parts, RULES);
  assertRankLosses('rank-report', parts.measured);
  const { task, measured, base, alpha = DEFAULT_ALPHA, adapterBytes = () => null } = parts;
  const rising = [...measured].sort((a, b) => a.rank - b.rank);
  const { versusBest, confidenceSet, bestRank, smallestGoodRank } = chooseRank(rising, alpha);
  const versusBase = base && compareWithEach(rising, base, pairedTTest);
  const baseLoss = base && measuredLoss(base);
  const ranks = rising.map(({ rank, losses }, i): RankRow => ({
    rank,
    ...measuredLoss(losses),
    versusBase: versusBase?.[i] ?? null,
    versusBest: versusBest[i],
    adapterBytes: adapterBytes(rank),
    notWorse: confidenceSet.includes(rank),
  }));
  const { counts } = rising[0].losses;
  const examples = counts.filter((count) => count > 0).length;
  return {
    task,
    examples,
    tokens: counts.reduce((sum, count) => sum + count, 0),
    alpha,
    base: baseLoss,
    ranks,
    bestRank,
    smallestGoodRank,
    confidenceSet,
    aurac: baseLoss && meanGain(ranks, baseLoss, 'log2'),
    auracLinear: baseLoss && meanGain(ranks, baseLoss, 'linear'),
    detectableDifference: detectableDifference(
      ranks
        .filter(({ rank, loss }) => rank !== bestRank && Number.isFinite(loss))
        .map((row) => row.versusBest.standardError),
      examples,
    ),
  };
}

function measuredLoss(losses: ExampleLosses): MeasuredLoss {
  const { mean, standardError } = ratioEstimate(losses);
  return { loss: mean, standardError, perplexity: Math.exp(mean) };
}

const meanGain = (ranks: readonly RankRow[], base: MeasuredLoss, axis: 'log2' | 'linear'): number =>
  aurac(
    ranks.map(({ rank }) => rank),
    ranks.map(({ loss }) => base.loss - loss),
    axis,
  );
