import type { PairedDifference, RankRecommendation, RaceResult, ScoreReport, ScoreRow } from '@qdylora/eval';
import { countOf, lossText } from './number-text.ts';

/** Benchmark tasks that were judged at every rank. */
export interface TaskResults {
  /** One for each task, metric and filter. */
  readonly comparisons: readonly ScoreReport[];
  /** Null where there is no rank to choose. */
  readonly recommendation: RankRecommendation | null;
  /** With `racing`: which ranks were dropped from which task, and when; otherwise empty. */
  readonly races: readonly TaskRace[];
}

/** A race of the ranks on a task or a group. */
export interface TaskRace extends Pick<RaceResult, 'survivors' | 'dropped'> {
  readonly task: string;
  /** The tasks of the group, or the task itself. */
  readonly tasks: readonly string[];
  /** Of the answers that judging every rank on every document takes. */
  readonly savedShare: number;
}

export type ScoreVerdict = 'only' | 'best' | 'unknown' | 'smallest-good' | 'not-worse' | 'worse';

export const SCORE_VERDICT_TEXT: Readonly<Record<ScoreVerdict, string>> = {
  only: '',
  best: 'best rank',
  unknown: '',
  'smallest-good': 'smallest not worse',
  'not-worse': 'not worse',
  worse: 'worse',
};

/** One document has no spread to judge a difference by. */
const hasSpread = ({ documents }: Pick<ScoreReport, 'documents'>): boolean => documents >= 2;

/** Whether the ranks of every task could be compared, where there are several. */
export const canCompareRanks = ({ byTask }: RankRecommendation): boolean =>
  byTask.every((task) => hasSpread(task) || task.ranks.length === 1);

export function scoreVerdict(
  { rank, notWorse }: Pick<ScoreRow, 'rank' | 'notWorse'>,
  report: ScoreReport,
): ScoreVerdict {
  if (report.ranks.length === 1) return 'only';
  if (rank === report.bestRank) return 'best';
  if (!hasSpread(report)) return 'unknown';
  if (rank === report.smallestGoodRank) return 'smallest-good';
  return notWorse ? 'not-worse' : 'worse';
}

/** `acc`, `exact_match, strict-match` */
export const metricName = ({ metric, filter }: Pick<ScoreReport, 'metric' | 'filter'>): string =>
  filter === 'none' ? metric : `${metric}, ${filter}`;

/** Which rank to take for a task, and what that rests on. */
export function taskSentence(report: ScoreReport, races: readonly TaskRace[]): string {
  const { documents, ranks, smallestGoodRank, detectableDifference } = report;
  const race = races.find(({ task }) => task === report.task) ?? null;
  const good = ranks.find(({ rank }) => rank === smallestGoodRank)!;
  const base = baseClause(good, report);
  const saved = race ? ` ${raceSentence(race, documents)}` : '';
  if (ranks.length === 1 && !race?.dropped.length)
    return `Rank ${good.rank} scores ${lossText(good.score)}.${base}`;
  if (!hasSpread(report)) return 'One document cannot tell ranks apart.';
  const fineness =
    detectableDifference && detectableDifference > 0 && detectableDifference < 1
      ? ` Differences below about ${lossText(detectableDifference)} would usually not be detected.`
      : '';
  return `${choiceClause(report, race)}${fineness}${base}${saved}`;
}

function choiceClause(report: ScoreReport, race: TaskRace | null): string {
  const { documents, ranks, bestRank: best, smallestGoodRank: good, confidenceSet } = report;
  const over = countOf(documents, 'document');
  const dropped = race?.dropped ?? [];
  if (dropped.some(({ reason }) => reason === 'indifferent'))
    return `Rank ${good} is enough: no other rank is better by as much as one percentage point.`;
  const isEvery = confidenceSet.length === ranks.length + dropped.length;
  if (isEvery && best === good)
    return `Rank ${best}, the smallest, has the best score; ${over} cannot tell any rank from it.`;
  if (best !== good)
    return (
      `Rank ${good} is enough: rank ${best} has the best score, but ${over} cannot tell ` +
      (isEvery ? 'any rank from it.' : `ranks ${confidenceSet.join(', ')} apart.`)
    );
  return [...ranks, ...dropped].every(({ rank }) => rank >= best)
    ? `Rank ${best}, the smallest, is already the best.`
    : `Rank ${best} is the best, and every smaller rank is worse.`;
}

/** Which ranks left a race and when, and what that saved. */
export function raceSentence({ dropped, savedShare }: TaskRace, documents: number): string {
  if (dropped.length === 0) return 'Racing dropped no rank and saved nothing.';
  const looks = [...new Set(dropped.map((one) => one.documents))];
  const byLook = looks.map((look) => {
    const ranks = dropped.filter((one) => one.documents === look).map(({ rank }) => rank);
    return `${ranks.length > 1 ? 'ranks' : 'rank'} ${ranks.join(', ')} after ${look}`;
  });
  return (
    `Racing dropped ${byLook.join(' and ')} of ${countOf(documents, 'document')}, and saved ` +
    `${Math.round(100 * savedShare)} % of the answers.`
  );
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
      return ` Rank ${rank} does not differ significantly from the base.`;
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
export function allTasksSentence(recommendation: RankRecommendation): string {
  const { byTask, rankForAll } = recommendation;
  if (byTask.length < 2 || !canCompareRanks(recommendation)) return '';
  return rankForAll === null
    ? 'No rank is good enough for every task: choose one for each.'
    : `For all ${byTask.length} tasks: rank ${rankForAll} is the smallest that is not worse at any of them.`;
}

/** The headline of a page that has nothing but tasks. */
export function tasksHeadline(recommendation: RankRecommendation): string {
  const { byTask, rankForAll } = recommendation;
  const [first] = byTask;
  if (!canCompareRanks(recommendation)) return 'One document cannot tell ranks apart';
  if (byTask.length > 1)
    return rankForAll === null
      ? 'Which rank is enough depends on the task'
      : `Rank ${rankForAll} is enough for all ${byTask.length} tasks`;
  if (first.ranks.length === 1) return `Rank ${first.bestRank} on ${first.task}`;
  return first.confidenceSet.length === 1
    ? `Rank ${first.bestRank} is the best on ${first.task}`
    : `Rank ${first.smallestGoodRank} is enough for ${first.task}`;
}
