import type { RowRange, StepCounts } from './optimizer.ts';

/** Neighbouring rows that have had equally many updates; `to` is Infinity for "to the last row". */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/**
 * Counts updates by row: under `newest_block` rows are trained at different steps, and Adam's bias correction
 * belongs to each row's own count.
 */
export interface StepCounter {
  /**
   * Says where which count holds once these rows (null: all) have had one more update, runs `update`, and
   * counts it. Where `update` throws, nothing was counted.
   */
  advance(rows: readonly RowRange[] | null, update: (stretches: readonly Stretch[]) => void): void;
  counts(): StepCounts;
  load(counts: StepCounts): void;
}

export function stepCounter(): StepCounter {
  let held: StepCounts = { rows: [], rest: 0 };
  return {
    advance(rows, update) {
      const next = { rows: [...held.rows], rest: held.rest };
      const stretches = rows ? rows.flatMap((range) => advanceRange(next, range)) : advanceAll(next);
      update(stretches);
      held = next;
    },
    counts: () => ({ rows: [...held.rows], rest: held.rest }),
    load: (counts) => {
      held = { rows: [...counts.rows], rest: counts.rest };
    },
  };
}

interface Counts {
  rows: number[];
  rest: number;
}

function advanceAll(counts: Counts): Stretch[] {
  counts.rest++;
  counts.rows = counts.rows.map((count) => count + 1);
  return [
    ...stretchesOf(counts.rows, 0, counts.rows.length),
    { from: counts.rows.length, to: Infinity, step: counts.rest },
  ];
}

function advanceRange({ rows, rest }: Counts, [from, to]: RowRange): Stretch[] {
  while (rows.length < to) rows.push(rest);
  for (let row = from; row < to; row++) rows[row]++;
  return stretchesOf(rows, from, to);
}

function stretchesOf(rows: readonly number[], from: number, to: number): Stretch[] {
  const found: Stretch[] = [];
  for (let row = from; row < to;) {
    let end = row + 1;
    while (end < to && rows[end] === rows[row]) end++;
    found.push({ from: row, to: end, step: rows[row] });
    row = end;
  }
  return found;
}
