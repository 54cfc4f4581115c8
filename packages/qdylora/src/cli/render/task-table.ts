import { findTasks } from '@qdylora/eval';
import type { TaskRow } from '../../recipes/tasks/task-rows.ts';
import {
  allTasksSentence,
  metricName,
  SCORE_VERDICT_TEXT,
  scoreVerdict,
  taskSentence,
  type TaskResults,
} from '../../report/read-tasks.ts';
import type { Terminal } from '../terminal.ts';
import { columns } from './table.ts';
import { wrapText } from './wrap-text.ts';

const DIGITS = 4;
const SENTENCE_WIDTH = 100;

const keyOf = ({ task, metric, filter }: Pick<TaskRow, 'task' | 'metric' | 'filter'>): string =>
  `${task} ${metric} ${filter}`;

/**
 * The metrics of tasks, one line for each rank, with the verdict on each rank; then which rank to take for
 * each task, and for all. Subjects of a group are shown only where there is no group.
 */
export function taskTable(
  rows: readonly TaskRow[],
  tasks: TaskResults,
  { paint }: Pick<Terminal, 'paint'>,
): string[] {
  const groups = [...new Set(rows.filter(({ metric }) => metric.endsWith('_macro')).map(({ task }) => task))];
  const members = new Set(findTasks(groups).tasks.map(({ name }) => name));
  const shown = rows.filter(({ task }) => !members.has(task));
  const keys = [...new Set(shown.map(keyOf))];
  const cells = keys.flatMap((key) => {
    const lines = shown.filter((row) => keyOf(row) === key);
    return lines.map((row, i) => [
      i === 0 ? row.task : '',
      i === 0 ? metricName(row) : '',
      i === 0 ? `${row.documents} rows, ${row.numFewshot} shots` : '',
      row.rank === null ? (lines.length > 1 ? 'base' : 'model') : String(row.rank),
      row.value.toFixed(DIGITS),
      row.standardError === null ? '' : `± ${row.standardError.toFixed(DIGITS)}`,
      remarkOf(row, lines, tasks),
    ]);
  });
  const [first, ...others] = columns(
    [['task', 'metric', '', 'rank', 'value', '', ''], ...cells],
    ['left', 'left', 'left', 'right', 'right', 'left', 'left'],
  );
  return [
    paint('dim', first),
    ...others.map((line) => (line.includes('←') ? paint('bold', line) : line)),
    ...(cells.length === 0 ? ['No task has a metric: the samples hold the answers.'] : []),
    ...sentences(tasks),
  ];
}

/** The verdict on a rank; where documents cannot be compared, and between base and rank, the best value. */
function remarkOf(row: TaskRow, lines: readonly TaskRow[], { comparisons, races }: TaskResults): string {
  const report = comparisons.find((each) => keyOf(each) === keyOf(row));
  const isBest = lines.length > 1 && row === bestOf(lines);
  const { rank } = row;
  if (!report || rank === null || (report.ranks.length === 1 && races.length === 0))
    return isBest ? '← best' : '';
  const verdict = scoreVerdict({ rank, notWorse: report.confidenceSet.includes(rank) }, report);
  const isMarked = verdict === 'best' || verdict === 'smallest-good';
  return `${isMarked ? '← ' : ''}${verdict === 'best' && isBest ? 'best' : SCORE_VERDICT_TEXT[verdict]}`;
}

function sentences({ recommendation, races }: TaskResults): string[] {
  if (!recommendation) return [];
  const all = allTasksSentence(recommendation);
  return [
    ...recommendation.byTask.map((report) => `${report.task}: ${taskSentence(report, races)}`),
    ...(all === '' ? [] : [all]),
  ].flatMap((sentence) => wrapText(sentence, SENTENCE_WIDTH));
}

/** Among equals the first: the base, then the smallest rank. */
const bestOf = (rows: readonly TaskRow[]): TaskRow =>
  rows.reduce((best, row) => {
    const isBetter = row.higherIsBetter ? row.value > best.value : row.value < best.value;
    return isBetter ? row : best;
  });
