import { assertArgument, QdyloraError, shownValue } from '@qdylora/contract';
import type { ExampleLosses } from '../example-losses.ts';
import { assertRankLosses, type RankLosses } from './rank-losses.ts';
import { holmBonferroni } from '../statistics/holm-bonferroni.ts';
import { pairedTTest, type PairedDifference } from '../statistics/paired-t-test.ts';
import { ratioEstimate } from '../statistics/ratio-estimate.ts';

/** A two-sided paired test of two models on the same examples: `pairedTTest` or `mcNemarTest`. */
export type PairedTest = (first: ExampleLosses, second: ExampleLosses) => PairedDifference;

/** The result of `chooseRank`: the best rank, and the ranks that a test does not distinguish from it. */
export interface RankChoice {
  /** The rank with the smallest held-out loss; among equals, the smallest. */
  readonly bestRank: number;
  /**
   * Ranks not significantly worse than the best, rising; the true best is among them with confidence 1 − α.
   */
  readonly confidenceSet: readonly number[];
  /** The smallest rank of the confidence set: the one to export by default. */
  readonly smallestGoodRank: number;
  /** Each rank against the best, with Holm-adjusted p-values, in the order of the ranks given. */
  readonly versusBest: readonly PairedDifference[];
}

/**
 * Confidence set for the best rank: the ranks that a paired test does not distinguish from the one with the
 * smallest loss, Holm-adjusted at level α.
 *
 * The set holds the truly best rank with confidence of at least 1 − α. That rank is lost only if another rank
 * looks significantly better, which is one side of a two-sided test, so the level is conservative.
 *
 * A rank whose loss is not finite is never in the set. A difference smaller than the report's
 * `detectableDifference` cannot be resolved.
 *
 * Source: Hsu, Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best (1984).
 *
 * @throws QdyloraError BAD_ARGUMENT without ranks, or if one is given twice; NON_FINITE if no rank
 * has a finite loss
 * @example
 * chooseRank([{ rank: 4, losses: a }, { rank: 8, losses: b }]).smallestGoodRank;
 */
export function chooseRank(
  measured: readonly RankLosses[],
  alpha = 0.05,
  test: PairedTest = pairedTTest,
): RankChoice {
  assertRankLosses('choose-rank', measured);
  assertArgument(
    typeof alpha === 'number' && alpha > 0 && alpha < 1,
    'choose-rank',
    `The level alpha must be a number between 0 and 1 (got ${shownValue(alpha)})`,
  );
  const ascending = measured
    .map(({ rank, losses }) => ({ rank, losses, mean: ratioEstimate(losses).mean }))
    .filter(({ mean }) => Number.isFinite(mean))
    .sort((a, b) => a.mean - b.mean || a.rank - b.rank);
  const [best, ...others] = ascending;
  if (!best) throw allDiverged(measured);
  const differences = compareWithEach(others, best.losses, test);
  const byRank = new Map<number, PairedDifference>([[best.rank, { mean: 0, standardError: 0, pValue: 1 }]]);
  others.forEach(({ rank }, i) => byRank.set(rank, differences[i]));
  const confidenceSet = [...byRank]
    .filter(([, { pValue }]) => pValue >= alpha)
    .map(([rank]) => rank)
    .sort((a, b) => a - b);
  return {
    bestRank: best.rank,
    confidenceSet,
    smallestGoodRank: confidenceSet[0],
    versusBest: measured.map(({ rank }) => byRank.get(rank) ?? { mean: NaN, standardError: NaN, pValue: 0 }),
  };
}

/** Each rank against the same other model, with Holm-adjusted p-values. */
export function compareWithEach(
  measured: readonly RankLosses[],
  other: ExampleLosses,
  test: PairedTest,
): PairedDifference[] {
  const differences = measured.map(({ losses }) => test(losses, other));
  const pValues = holmBonferroni(differences.map(({ pValue }) => pValue));
  return differences.map((difference, i) => ({ ...difference, pValue: pValues[i] }));
}

const allDiverged = (measured: readonly RankLosses[]): QdyloraError =>
  new QdyloraError('NON_FINITE', {
    where: 'choose-rank',
    problem: `No rank has a finite loss (ranks ${measured.map(({ rank }) => rank).join(', ')})`,
    nextStep: 'The adapter has diverged: train again with a smaller learning rate.',
  });
