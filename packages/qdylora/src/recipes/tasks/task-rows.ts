import type { GroupScores, TaskScores } from '@qdylora/eval';

/** One metric of a task or a group at one rank. */
export interface TaskRow {
  /** Null: the model without an adapter. */
  readonly rank: number | null;
  /** A task or a group. */
  readonly task: string;
  readonly metric: string;
  /** The filter of the answers: `none`, `strict-match`, … */
  readonly filter: string;
  readonly value: number;
  /** Null: unknown. */
  readonly standardError: number | null;
  readonly documents: number;
  readonly numFewshot: number;
  readonly higherIsBetter: boolean;
}

/**
 * The metrics of all tasks and groups at one rank. The mean of a group in which each task counts the same is
 * the metric `<metric>_macro`.
 */
export function taskRows(
  rank: number | null,
  scores: readonly TaskScores[],
  groups: readonly GroupScores[],
): readonly TaskRow[] {
  const ofTasks = scores.flatMap(({ requests: { task, numFewshot }, metrics }) =>
    metrics.map(({ metric, filter, value, standardError, items }): TaskRow => ({
      rank,
      task: task.name,
      metric,
      filter,
      value,
      standardError,
      documents: items.length,
      numFewshot,
      higherIsBetter: task.metrics.find(({ name }) => name === metric)!.higherIsBetter,
    })),
  );
  const ofGroups = groups.flatMap(({ group, tasks, metrics }) =>
    metrics.flatMap(({ metric, filter, value, standardError, unweighted, documents }): TaskRow[] => {
      const { numFewshot } = scores.find(({ requests }) => tasks.includes(requests.task.name))!.requests;
      const row = { rank, task: group.name, metric, filter, documents, numFewshot, higherIsBetter: true };
      return [
        { ...row, value, standardError },
        { ...row, metric: `${metric}_macro`, value: unweighted, standardError: null },
      ];
    }),
  );
  return [...ofTasks, ...ofGroups];
}
