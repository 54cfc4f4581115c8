import { scoreReport, type DocumentScores, type ScoreReport } from '../../ranks/score-report.ts';
import type { GroupScores } from '../scoring/score-groups.ts';
import type { MetricResult, TaskScores } from '../scoring/score-task.ts';
import { DOCUMENT_SCALES, type DocumentScale } from './document-scores.ts';

/** The scores of all tasks at one rank. */
export interface ScoredView {
  /** Null: the base, without its adapter. */
  readonly rank: number | null;
  readonly scores: readonly TaskScores[];
  readonly groups: readonly GroupScores[];
}

/** Options of `compareRanks`: the error rate, and the size of an adapter at each rank. */
export interface ComparisonOptions {
  /** Family-wise significance level of the comparisons; 0.05 by default. */
  readonly alpha?: number;
  /** Bytes of an adapter cut at a rank, in float32. Unknown by default. */
  readonly adapterBytes?: (rank: number) => number | null;
}

/** A metric of a task or a group, and where its documents are. */
interface ComparedMetric {
  readonly task: string;
  readonly metric: string;
  readonly filter: string;
  readonly higherIsBetter: boolean;
  readonly scale: DocumentScale;
  /** The tasks whose documents are compared: those of a group. */
  readonly members: readonly string[];
  /** Each task counts the same, whatever its number of documents. */
  readonly isUnweighted: boolean;
}

/**
 * Compares ranks document by document for each metric of each task and group, in the order of the task's
 * `metric_list`. Groups come last. Metrics without a score of a single document, such as BLEU, are left out.
 * Without ranks the list is empty.
 *
 * The documents of a group are those of all its tasks. The interval of a proportion is clustered by task in
 * weighted groups only; else it is ± 1.96 standard errors.
 *
 * @param views of the same requests; a rank that a race has dropped lacks the tasks of that race
 */
export function compareRanks(
  views: readonly ScoredView[],
  options: ComparisonOptions = {},
): readonly ScoreReport[] {
  const ranked = views.flatMap((view) => (view.rank === null ? [] : [{ ...view, rank: view.rank }]));
  const base = views.find(({ rank }) => rank === null) ?? null;
  if (ranked.length === 0) return [];
  return comparedMetrics(ranked).map(({ scale, members, isUnweighted, ...names }) => {
    const resultsOf = (view: ScoredView) => memberResults(view, members, names);
    const judged = ranked.filter((view) => resultsOf(view).length > 0);
    const scoresOf = (view: ScoredView): DocumentScores =>
      pooled(
        resultsOf(view).map(({ items }) => scale.scoresOf(items)),
        isUnweighted,
      );
    return scoreReport({
      ...names,
      ...options,
      aggregate: scale.aggregate,
      measured: judged.map((view) => ({ rank: view.rank, scores: scoresOf(view) })),
      base: base && scoresOf(base),
      clusters:
        members.length > 1
          ? resultsOf(judged[0]).flatMap(({ items }, m) => new Array<number>(items.length).fill(m))
          : null,
    });
  });
}

/** The metrics that any of the views has, each once. */
function comparedMetrics(views: readonly ScoredView[]): ComparedMetric[] {
  const keyOf = ({ task, metric, filter }: ComparedMetric): string => JSON.stringify([task, metric, filter]);
  const all = views.map(metricsOfView);
  const tasksFirst = [...all.flatMap(({ ofTasks }) => ofTasks), ...all.flatMap(({ ofGroups }) => ofGroups)];
  return [...new Map(tasksFirst.map((metric) => [keyOf(metric), metric])).values()];
}

function metricsOfView({ scores, groups }: ScoredView) {
  const ofTasks = scores.flatMap(({ requests: { task }, metrics }) =>
    task.metrics.flatMap(({ name, aggregation, higherIsBetter }): ComparedMetric[] => {
      const scale = DOCUMENT_SCALES.get(aggregation);
      if (!scale) return [];
      const common = { task: task.name, metric: name, higherIsBetter, scale, members: [task.name] };
      return metrics
        .filter(({ metric }) => metric === name)
        .map(({ filter }) => ({ ...common, filter, isUnweighted: false }));
    }),
  );
  const ofGroups = groups.flatMap(({ group, tasks, metrics }) =>
    metrics.flatMap(({ metric, filter }): ComparedMetric[] => {
      const first = ofTasks.find((each) => tasks.includes(each.task) && each.metric === metric);
      const isUnweighted = !group.metrics.find((each) => each.metric === metric)!.isWeighted;
      return first ? [{ ...first, task: group.name, filter, members: tasks, isUnweighted }] : [];
    }),
  );
  return { ofTasks, ofGroups };
}

const memberResults = (
  { scores }: ScoredView,
  members: readonly string[],
  { metric, filter }: Pick<ComparedMetric, 'metric' | 'filter'>,
): MetricResult[] =>
  scores
    .filter(({ requests }) => members.includes(requests.task.name))
    .flatMap(({ metrics }) => metrics)
    .filter((result) => result.metric === metric && result.filter === filter);

/** The documents of all tasks; unweighted: a document counts 1/n, so that each task counts the same. */
function pooled(tasks: readonly DocumentScores[], isUnweighted: boolean): DocumentScores {
  const weighted = isUnweighted
    ? tasks.map(({ sums, counts }) => ({
        sums: sums.map((sum) => sum / sums.length),
        counts: counts.map((count) => count / counts.length),
      }))
    : tasks;
  return {
    sums: Float64Array.from(weighted.flatMap(({ sums }) => [...sums])),
    counts: Float64Array.from(weighted.flatMap(({ counts }) => [...counts])),
  };
}
