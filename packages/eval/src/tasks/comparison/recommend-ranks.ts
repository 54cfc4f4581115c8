import type { DroppedRank } from '../../ranks/race-ranks.ts';
import type { ScoreReport } from '../../ranks/score-report.ts';
import type { GroupScores } from '../scoring/score-groups.ts';

/** The rank to take for each task, and for all of them. */
export interface RankRecommendation {
  /** The first metric of each task; a group stands for its tasks. */
  readonly byTask: readonly ScoreReport[];
  /** The smallest rank that is good at every task; null where there is none. */
  readonly rankForAll: number | null;
}

/** The ranks that left the race on a task or a group. */
export interface RacedTask {
  readonly task: string;
  readonly dropped: readonly DroppedRank[];
}

/**
 * Chooses a metric for each task, and the smallest rank that is good at all tasks. Null without reports.
 *
 * Good at a task are the ranks of its confidence set, and those that left its race as `indifferent`: they
 * were as good, and only a smaller rank was preferred.
 */
export function recommendRanks(
  reports: readonly ScoreReport[],
  groups: readonly GroupScores[],
  races: readonly RacedTask[] = [],
): RankRecommendation | null {
  const isInGroup = (name: string): boolean =>
    groups.some(({ group, tasks }) => group.members.includes(name) || tasks.includes(name));
  const firsts = new Map<string, ScoreReport>();
  for (const report of reports)
    if (!isInGroup(report.task) && !firsts.has(report.task)) firsts.set(report.task, report);
  const byTask = [...firsts.values()];
  if (byTask.length === 0) return null;
  const [first, ...others] = byTask.map((report) => goodRanks(report, races));
  const rankForAll = first.find((rank) => others.every((ranks) => ranks.includes(rank)));
  return { byTask, rankForAll: rankForAll ?? null };
}

/** Rising. */
function goodRanks({ task, confidenceSet }: ScoreReport, races: readonly RacedTask[]): readonly number[] {
  const dropped = races.find((race) => race.task === task)?.dropped ?? [];
  const indifferent = dropped.filter(({ reason }) => reason === 'indifferent').map(({ rank }) => rank);
  return [...confidenceSet, ...indifferent].sort((a, b) => a - b);
}
