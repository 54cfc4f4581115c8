import type { GroupDefinition, GroupMetric } from '../definition/task-definition.ts';
import { groupError, groupMean } from '../metrics/aggregate.ts';
import type { MetricResult, TaskScores } from './score-task.ts';

/** A metric over the tasks of a group. */
export interface GroupResult {
  readonly metric: string;
  readonly filter: string;
  readonly value: number;
  /** Null where a task has none. */
  readonly standardError: number | null;
  /** Mean in which each task counts the same (macro), whatever the weights of `value` are. */
  readonly unweighted: number;
  /** Documents of the tasks that have the metric. */
  readonly documents: number;
}

/** The metrics of one group of tasks. */
export interface GroupScores {
  readonly group: GroupDefinition;
  /** Names of its tasks, also those of groups inside. */
  readonly tasks: readonly string[];
  readonly metrics: readonly GroupResult[];
}

/** The metrics of groups from those of their tasks. */
export function scoreGroups(
  groups: readonly GroupDefinition[],
  scores: readonly TaskScores[],
): readonly GroupScores[] {
  const byName = new Map(groups.map((group) => [group.name, group]));
  const tasksOf = (name: string): readonly string[] => byName.get(name)?.members.flatMap(tasksOf) ?? [name];
  return groups.map((group) => {
    const tasks = tasksOf(group.name);
    const members = scores.filter(({ requests }) => tasks.includes(requests.task.name));
    return { group, tasks, metrics: group.metrics.flatMap((metric) => groupResults(metric, members)) };
  });
}

function groupResults(
  { metric, isWeighted, filters }: GroupMetric,
  members: readonly TaskScores[],
): GroupResult[] {
  const results = members.flatMap(({ metrics }) => metrics).filter((result) => result.metric === metric);
  const names = filters ?? [...new Set(results.map(({ filter }) => filter))].sort();
  return names.flatMap((filter) => {
    const chosen = results.filter((result) => result.filter === filter);
    return chosen.length === 0 ? [] : [groupResult(chosen, isWeighted)];
  });
}

function groupResult(results: readonly MetricResult[], isWeighted: boolean): GroupResult {
  const values = results.map(({ value }) => value);
  const sizes = results.map(({ items }) => items.length);
  const errors = results.map(({ standardError }) => standardError);
  const { metric, filter } = results[0];
  return {
    metric,
    filter,
    value: groupMean(values, sizes, isWeighted),
    standardError: errors.every((error) => error !== null) ? groupError(errors, sizes, isWeighted) : null,
    unweighted: groupMean(values, sizes, false),
    documents: sizes.reduce((sum, size) => sum + size, 0),
  };
}
