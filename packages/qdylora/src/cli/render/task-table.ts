import type { TaskRow } from '../../recipes/tasks/task-rows.ts';
import type { Terminal } from '../terminal.ts';
import { columns } from './table.ts';

const DIGITS = 4;

/**
 * The metrics of tasks, one line for each rank; the best rank of each metric is marked. Subjects of a group
 * are shown only where there is no group.
 */
export function taskTable(rows: readonly TaskRow[], { paint }: Pick<Terminal, 'paint'>): string[] {
  const keyOf = ({ task, metric, filter }: TaskRow): string => `${task} ${metric} ${filter}`;
  const groups = rows.filter(({ metric }) => metric.endsWith('_macro')).map(({ task }) => task);
  const shown = rows.filter(
    ({ task }) => groups.includes(task) || !groups.some((group) => task.startsWith(`${group}_`)),
  );
  const keys = [...new Set(shown.map(keyOf))];
  const cells = keys.flatMap((key) => {
    const lines = shown.filter((row) => keyOf(row) === key);
    const best = bestOf(lines);
    return lines.map((row, i) => [
      i === 0 ? row.task : '',
      i === 0 ? `${row.metric}${row.filter === 'none' ? '' : `, ${row.filter}`}` : '',
      i === 0 ? `${row.documents} rows, ${row.numFewshot} shots` : '',
      row.rank === null ? (lines.length > 1 ? 'base' : 'model') : String(row.rank),
      row.value.toFixed(DIGITS),
      row.standardError === null ? '' : `± ${row.standardError.toFixed(DIGITS)}`,
      row === best && lines.length > 1 ? '← best' : '',
    ]);
  });
  const [first, ...others] = columns(
    [['task', 'metric', '', 'rank', 'value', '', ''], ...cells],
    ['left', 'left', 'left', 'right', 'right', 'left', 'left'],
  );
  return [
    paint('dim', first!),
    ...others.map((line) => (line.includes('←') ? paint('bold', line) : line)),
    ...(cells.length === 0 ? ['No task has a metric: the samples hold the answers.'] : []),
  ];
}

/** Among equals the first: the base, then the smallest rank. */
const bestOf = (rows: readonly TaskRow[]): TaskRow =>
  rows.reduce((best, row) => {
    const isBetter = row.higherIsBetter ? row.value > best.value : row.value < best.value;
    return isBetter ? row : best;
  });
