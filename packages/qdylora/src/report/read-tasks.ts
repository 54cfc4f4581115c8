import type { PairedDifference, RankRecommendation, ScoreReport, ScoreRow } from '@qdylora/eval';
import { countOf, lossText } from './number-text.ts';

/** Benchmark tasks that were judged at every rank. */
export interface TaskResults {
  /** One for each task, metric and filter. */
  readonly comparisons: readonly ScoreReport[];
  /** Null where there is no rank to choose. */
  readonly recommendation: RankRecommendation | null;
}

export type ScoreVerdict = 'only' | 'best' | 'smallest-good' | 'not-worse' | 'worse';

export const SCORE_VERDICT_TEXT: Readonly<Record<ScoreVerdict, string>> = {
  only: '',
  best: 'best rank',
  'smallest-good': 'smallest not worse',
  'not-worse': 'not worse',
  worse: 'worse',
};

export function scoreVerdict(
  { rank, notWorse }: Pick<ScoreRow, 'rank' | 'notWorse'>,
  report: ScoreReport,
): ScoreVerdict {
  if (report.ranks.length === 1) return 'only';
  if (rank === report.bestRank) return 'best';
  if (rank === report.smallestGoodRank) return 'smallest-good';
  return notWorse ? 'not-worse' : 'worse';
}

/** `acc`, `exact_match, strict-match` */
export const metricName = ({ metric, filter }: Pick<ScoreReport, 'metric' | 'filter'>): string =>
  filter === 'none' ? metric : `${metric}, ${filter}`;

/** Which rank to take for a task, and what that rests on. */
export function taskSentence(report: ScoreReport): string {
  const { documents, ranks, bestRank, smallestGoodRank, confidenceSet, detectableDifference } = report;
  const good = ranks.find(({ rank }) => rank === smallestGoodRank)!;
  const base = baseClause(good, report);
  if (ranks.length === 1) return `Rank ${good.rank} scores ${lossText(good.score)}.${base}`;
  if (documents < 2) return 'One document cannot tell ranks apart.';
  const fineness =
    detectableDifference && detectableDifference > 0
      ? ` Differences below about ${lossText(detectableDifference)} would mostly go unseen.`
      : '';
  return `${choiceClause(report, bestRank, confidenceSet)}${fineness}${base}`;
}

function choiceClause(
  { documents, ranks, smallestGoodRank }: ScoreReport,
  best: number,
  confidenceSet: readonly number[],
): string {
  const over = countOf(documents, 'document');
  if (confidenceSet.length === ranks.length && best === smallestGoodRank)
    return `Rank ${best}, the smallest, has the best score; ${over} cannot tell any rank from it.`;
  if (confidenceSet.length === ranks.length)
    return (
      `Rank ${smallestGoodRank} is enough: rank ${best} has the best score, but ${over} cannot tell any ` +
      'rank from it.'
    );
  if (best !== smallestGoodRank)
    return (
      `Rank ${smallestGoodRank} is enough: rank ${best} has the best score, but ${over} cannot tell ranks ` +
      `${confidenceSet.join(', ')} apart.`
    );
  return best === ranks[0].rank
    ? `Rank ${best}, the smallest, is already the best.`
    : `Rank ${best} is the best, and every smaller rank is worse.`;
}

/** What the comparison with the base says of a rank; nothing where it is better. */
function baseClause({ rank, versusBase }: ScoreRow, { alpha, higherIsBetter }: ScoreReport): string {
  if (!versusBase) return '';
  switch (differenceFrom(versusBase, { alpha, higherIsBetter })) {
    case 'better':
      return '';
    case 'worse':
      return ` Rank ${rank} is worse than the base.`;
    case null:
      return ` Rank ${rank} cannot be told from the base.`;
  }
}

/** Null where the documents cannot tell. */
export function differenceFrom(
  { mean, pValue }: PairedDifference,
  { alpha, higherIsBetter }: Pick<ScoreReport, 'alpha' | 'higherIsBetter'>,
): 'better' | 'worse' | null {
  if (!(pValue < alpha)) return null;
  return mean > 0 === higherIsBetter ? 'better' : 'worse';
}

/** Which rank to take for all tasks together. */
export function allTasksSentence({ byTask, rankForAll }: RankRecommendation): string {
  if (byTask.length < 2) return '';
  return rankForAll === null
    ? 'No rank is good enough for every task: choose one for each.'
    : `For all ${byTask.length} tasks: rank ${rankForAll} is the smallest that is not worse at any of them.`;
}

/** The headline of a page that has nothing but tasks. */
export function tasksHeadline({ byTask, rankForAll }: RankRecommendation): string {
  const [first] = byTask;
  if (byTask.length > 1)
    return rankForAll === null
      ? 'Which rank is enough depends on the task'
      : `Rank ${rankForAll} is enough for all ${byTask.length} tasks`;
  if (first.ranks.length === 1) return `Rank ${first.bestRank} on ${first.task}`;
  return first.bestRank === first.smallestGoodRank
    ? `Rank ${first.bestRank} is the best on ${first.task}`
    : `Rank ${first.smallestGoodRank} is enough for ${first.task}`;
}
