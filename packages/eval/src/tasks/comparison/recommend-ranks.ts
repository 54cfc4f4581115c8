import type { ScoreReport } from '../../ranks/score-report.ts';
import type { GroupScores } from '../scoring/score-groups.ts';

/** The rank to take for each task, and for all of them. */
export interface RankRecommendation {
  /** The first metric of each task; a group stands for its tasks. */
  readonly byTask: readonly ScoreReport[];
  /** The smallest rank that is in the confidence set of every task; null where there is none. */
  readonly rankForAll: number | null;
}

/** Chooses a metric for each task, and the smallest rank that is good at all tasks. Null without reports. */
export function recommendRanks(
  reports: readonly ScoreReport[],
  groups: readonly GroupScores[],
): RankRecommendation | null {
  const isInGroup = (name: string): boolean =>
    groups.some(({ group, tasks }) => group.members.includes(name) || tasks.includes(name));
  const firsts = new Map<string, ScoreReport>();
  for (const report of reports)
    if (!isInGroup(report.task) && !firsts.has(report.task)) firsts.set(report.task, report);
  const byTask = [...firsts.values()];
  if (byTask.length === 0) return null;
  const [first, ...others] = byTask;
  const rankForAll = first.confidenceSet.find((rank) =>
    others.every(({ confidenceSet }) => confidenceSet.includes(rank)),
  );
  return { byTask, rankForAll: rankForAll ?? null };
}
