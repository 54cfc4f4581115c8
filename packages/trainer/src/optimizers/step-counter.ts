import type { RowRange, StepCounts } from './optimizer.ts';

/** Consecutive rows with the same update count; `to` is Infinity for "to the last row". */
export interface CountedRange {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/**
 * Counts the updates of each row. With update rule `newest_block` rows are trained at different steps, and
 * Adam's bias correction of a row depends on its own count.
 */
export interface StepCounter {
  /**
   * Counts one more update of these rows (null: all rows). Calls `update` with the updated rows and their new
   * counts first; if it throws, nothing is counted.
   */
  advance(rows: readonly RowRange[] | null, update: (ranges: readonly CountedRange[]) => void): void;
  counts(): StepCounts;
  load(counts: StepCounts): void;
}

export function stepCounter(): StepCounter {
  let counts: StepCounts = { rows: [], rest: 0 };
  return {
    advance(rows, update) {
      const next = { rows: [...counts.rows], rest: counts.rest };
      const ranges = rows ? rows.flatMap((range) => advanceRange(next, range)) : advanceAll(next);
      update(ranges);
      counts = next;
    },
    counts: () => ({ rows: [...counts.rows], rest: counts.rest }),
    load: (saved) => {
      counts = { rows: [...saved.rows], rest: saved.rest };
    },
  };
}

interface Counts {
  rows: number[];
  rest: number;
}

function advanceAll(counts: Counts): CountedRange[] {
  counts.rest++;
  counts.rows = counts.rows.map((count) => count + 1);
  return [
    ...rangesOf(counts.rows, 0, counts.rows.length),
    { from: counts.rows.length, to: Infinity, step: counts.rest },
  ];
}

function advanceRange({ rows, rest }: Counts, [from, to]: RowRange): CountedRange[] {
  while (rows.length < to) rows.push(rest);
  for (let row = from; row < to; row++) rows[row]++;
  return rangesOf(rows, from, to);
}

function rangesOf(rows: readonly number[], from: number, to: number): CountedRange[] {
  const found: CountedRange[] = [];
  for (let row = from; row < to;) {
    let end = row + 1;
    while (end < to && rows[end] === rows[row]) end++;
    found.push({ from: row, to: end, step: rows[row] });
    row = end;
  }
  return found;
}
