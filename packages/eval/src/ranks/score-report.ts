import { assertArgument } from '@qdylora/contract';
import type { ExampleLosses } from '../example-losses.ts';
import { detectableDifference } from '../statistics/detectable-difference.ts';
import { fewestDiscordant, mcNemarTest } from '../statistics/mcnemar-test.ts';
import { pairedTTest, type PairedDifference } from '../statistics/paired-t-test.ts';
import { ratioEstimate } from '../statistics/ratio-estimate.ts';
import {
  effectiveSize,
  wilsonInterval,
  Z_95,
  type ConfidenceInterval,
} from '../statistics/wilson-interval.ts';
import { chooseRank, compareWithEach } from './choose-rank.ts';
import type { RankLosses } from './rank-losses.ts';

/**
 * Scores of one model, one entry a document: the score is Σ sums / Σ counts. Counts are 1, or the words or
 * bytes that a likelihood is divided by, or 1/n where each task of n documents counts the same.
 */
export type DocumentScores = Pick<ExampleLosses, 'sums' | 'counts'>;

/** Scores of every document at one rank. */
export interface RankScores {
  readonly rank: number;
  readonly scores: DocumentScores;
}

/** The score of one model, with its confidence interval. */
export interface MeasuredScore {
  readonly score: number;
  /** 95 % confidence interval: Wilson's for right and wrong, otherwise ± 1.96 standard errors. */
  readonly interval: ConfidenceInterval;
}

/** The score of one rank, compared with the base and with the best rank. */
export interface ScoreRow extends MeasuredScore {
  readonly rank: number;
  /** Score minus the base's score, Holm-adjusted over all ranks; null where the base was not judged. */
  readonly versusBase: PairedDifference | null;
  /** Score minus the best rank's score, likewise. */
  readonly versusBest: PairedDifference;
  /** Bytes of an adapter cut at this rank, in float32; null if unknown. */
  readonly adapterBytes: number | null;
  /** The rank is in the confidence set: these documents do not distinguish it from the best. */
  readonly notWorse: boolean;
}

/** One metric of a task at all ranks, with the choice of a rank. */
export interface ScoreReport {
  /** A task or a group of tasks. */
  readonly task: string;
  readonly metric: string;
  /** The filter of the answers: `none`, `strict-match`, … */
  readonly filter: string;
  readonly higherIsBetter: boolean;
  /** `mcnemar`: every score is 0 or 1; `paired_t`: any others. */
  readonly test: 'mcnemar' | 'paired_t';
  readonly documents: number;
  /** Family-wise significance level of the comparisons. */
  readonly alpha: number;
  /** Null if the base was not judged. */
  readonly base: MeasuredScore | null;
  /** One row a rank, rising. */
  readonly ranks: readonly ScoreRow[];
  readonly bestRank: number;
  /** The smallest rank of the confidence set: the one to take. */
  readonly smallestGoodRank: number;
  readonly confidenceSet: readonly number[];
  /**
   * Minimum detectable difference from the best rank, with power 80 % at α = 5 % for one comparison, on the
   * scale of the scores. For right and wrong, at least the smallest difference that is significant at
   * `alpha`. Null for one rank.
   */
  readonly detectableDifference: number | null;
}

/** The measurements that `scoreReport` compares: the score of every document at every rank. */
export interface ScoreReportParts extends Pick<ScoreReport, 'task' | 'metric' | 'filter' | 'higherIsBetter'> {
  /** One entry a rank, in any order. */
  readonly measured: readonly RankScores[];
  /** The model without its adapter on the same documents; null if it was not judged. */
  readonly base: DocumentScores | null;
  /** The subject of each document, as a number, where the documents are those of a group of tasks. */
  readonly clusters?: readonly number[] | null;
  /** The shown score from the mean over documents: `Math.exp` for a perplexity. It rises. */
  readonly aggregate?: (mean: number) => number;
  /** 0.05 by default. */
  readonly alpha?: number;
  /** Bytes of an adapter cut at a rank, in float32. Unknown by default. */
  readonly adapterBytes?: (rank: number) => number | null;
}

/**
 * Scores with their intervals, comparisons and the choice of a rank, from the scores of every document at
 * every rank. Ranks are compared document by document: by McNemar's exact mid-p test where all scores are 0
 * or 1, else by the paired t-test. Differences are those of the means, before `aggregate`.
 *
 * @throws QdyloraError as `chooseRank`; BAD_ARGUMENT where ranks were judged on different documents
 * @example
 * const counts = new Float64Array(3).fill(1);
 * const scores = (...sums: number[]) => ({ sums: Float64Array.from(sums), counts });
 * const measured = [{ rank: 4, scores: scores(0, 1, 1) }, { rank: 8, scores: scores(1, 1, 1) }];
 * const names = { task: 'quiz', metric: 'acc', filter: 'none', higherIsBetter: true };
 * scoreReport({ ...names, measured, base: null }).smallestGoodRank; // 4: three documents cannot tell
 */
export function scoreReport({
  measured,
  base,
  clusters = null,
  aggregate = unchanged,
  alpha = 0.05,
  adapterBytes = () => null,
  ...names
}: ScoreReportParts): ScoreReport {
  const rising = [...measured].sort((a, b) => a.rank - b.rank);
  const sign = names.higherIsBetter ? -1 : 1;
  const losses = rising.map(({ rank, scores }): RankLosses => ({ rank, losses: scaledLosses(scores, sign) }));
  const isBinary = [...rising.map(({ scores }) => scores), ...(base ? [base] : [])].every(isRightOrWrong);
  const test = isBinary ? mcNemarTest : pairedTTest;
  const { versusBest, confidenceSet, bestRank, smallestGoodRank } = chooseRank(losses, alpha, test);
  const versusBase = base && compareWithEach(losses, scaledLosses(base, sign), test);
  const { counts } = rising[0].scores;
  assertArgument(
    clusters === null || clusters.length === counts.length,
    'score-report',
    `There must be one cluster for each document (got ${clusters?.length} for ${counts.length})`,
  );
  const measuredScore = (scores: DocumentScores): MeasuredScore => {
    const [low, high] = isBinary ? proportionInterval(scores, clusters) : meanInterval(scores);
    return { score: aggregate(ratioEstimate(scores).mean), interval: [aggregate(low), aggregate(high)] };
  };
  const standardErrors = versusBest
    .filter((_, i) => rising[i].rank !== bestRank)
    .map(({ standardError }) => standardError)
    .filter(Number.isFinite);
  const ofMeans = detectableDifference(standardErrors, counts.length);
  const bestMean = ratioEstimate(rising.find(({ rank }) => rank === bestRank)!.scores).mean;
  const detectable =
    ofMeans === null || aggregate === unchanged
      ? ofMeans
      : aggregate(bestMean + ofMeans) - aggregate(bestMean);
  return {
    ...names,
    test: isBinary ? 'mcnemar' : 'paired_t',
    documents: counts.length,
    alpha,
    base: base && measuredScore(base),
    ranks: rising.map(({ rank, scores }, i): ScoreRow => ({
      rank,
      ...measuredScore(scores),
      versusBase: versusBase && signed(versusBase[i], sign),
      versusBest: signed(versusBest[i], sign),
      adapterBytes: adapterBytes(rank),
      notWorse: confidenceSet.includes(rank),
    })),
    bestRank,
    smallestGoodRank,
    confidenceSet,
    detectableDifference:
      detectable === null || !isBinary
        ? detectable
        : Math.max(detectable, fewestDiscordant(alpha) / counts.length),
  };
}

const unchanged = (mean: number): number => mean;

/** Losses from scores: negated (`sign` −1) where high scores are good. */
export const scaledLosses = ({ sums, counts }: DocumentScores, sign: number): ExampleLosses => ({
  sums: sums.map((sum) => sign * sum),
  counts,
});

/** A difference of losses as one of scores; 0 is never −0. */
const signed = (difference: PairedDifference, sign: number): PairedDifference => ({
  ...difference,
  mean: sign * difference.mean + 0,
});

/** Every score is 0 or 1. */
export const isRightOrWrong = ({ sums, counts }: DocumentScores): boolean =>
  counts.every((count) => count === 1) && sums.every((sum) => sum === 0 || sum === 1);

const proportionInterval = (
  { sums }: DocumentScores,
  clusters: readonly number[] | null,
): ConfidenceInterval =>
  wilsonInterval(
    sums.reduce((sum, score) => sum + score, 0) / sums.length,
    clusters ? effectiveSize(sums, clusters) : sums.length,
  );

function meanInterval(scores: DocumentScores): ConfidenceInterval {
  const { mean, standardError } = ratioEstimate(scores);
  return [mean - Z_95 * standardError, mean + Z_95 * standardError];
}
