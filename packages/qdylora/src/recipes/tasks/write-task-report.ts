import { join } from 'node:path';
import { canonicalJson, createFolder, writeFileDurably } from '@qdylora/checkpoint';
import { snakeCased } from '@qdylora/contract';
import { HARNESS_VERSION, type RankRecommendation, type ScoreReport } from '@qdylora/eval';
import { canCompareRanks, type TaskResults } from '../../report/read-tasks.ts';
import { renderReport } from '../../report/render-report.ts';
import { exportCommand } from '../outputs/next-command.ts';
import type { EvaluateTasksConfig } from './evaluate-tasks-config.ts';

/**
 * Writes the comparisons of the ranks: `task-report.json` for programs, `report.html` for people.
 *
 * @returns the page; null where there are no ranks to compare
 * @throws QdyloraError WRITE_FAILED
 */
export function writeTaskReport(
  folder: string,
  { model, ...tasks }: TaskResults & { readonly model: string },
  config: EvaluateTasksConfig,
): string | null {
  if (!tasks.recommendation) return null;
  createFolder(folder);
  writeFileDurably(join(folder, 'task-report.json'), [
    Buffer.from(canonicalJson({ model, ...taskReportJson(tasks) })),
  ]);
  const page = join(folder, 'report.html');
  writeFileDurably(page, [Buffer.from(renderReport(pageData(model, tasks, config)))]);
  return page;
}

/** Comparisons and recommendation as JSON values: keys in snake_case. */
export const taskReportJson = ({ comparisons, recommendation, races }: TaskResults) => ({
  comparisons: snakeCased(comparisons),
  races: snakeCased(races),
  recommendation: recommendation && {
    by_task: recommendation.byTask.map(choiceJson),
    rank_for_all: recommendation.rankForAll,
  },
});

const choiceJson = ({ task, metric, filter, smallestGoodRank, bestRank, confidenceSet }: ScoreReport) => ({
  task,
  metric,
  filter,
  rank: smallestGoodRank,
  best_rank: bestRank,
  confidence_set: confidenceSet,
});

function pageData(model: string, tasks: TaskResults, { adapter, limit, numFewshot }: EvaluateTasksConfig) {
  const { byTask } = tasks.recommendation!;
  const settings = {
    Adapter: adapter!,
    Tasks: byTask.map(({ task }) => task).join(', '),
    'Examples in a prompt': numFewshot === null ? 'those of the task' : String(numFewshot),
    Limit: limit === null ? 'all documents' : String(limit),
    Numbers: `those of lm-evaluation-harness ${HARNESS_VERSION}`,
  };
  return {
    model,
    dataset: null,
    settings: Object.entries(settings).map(([name, value]) => ({ name, value })),
    steps: [],
    ranks: null,
    tasks,
    samples: { missing: 'The samples_*.jsonl files have every prompt and answer.' },
    notes: [],
    nextCommand: canCompareRanks(tasks.recommendation!)
      ? exportCommand(adapter!, chosenRank(tasks.recommendation!), 'adapter')
      : null,
  };
}

/** The rank to take from a recommendation: that for all tasks, else that of the first one. */
const chosenRank = ({ byTask, rankForAll }: RankRecommendation): number =>
  rankForAll ?? byTask[0].smallestGoodRank;
