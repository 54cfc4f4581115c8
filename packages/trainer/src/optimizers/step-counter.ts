import type { RowRange, StepCounts } from './optimizer.ts';

/** Neighbouring rows that have had equally many updates; `to` is Infinity for "to the last row". */
export interface Stretch { readonly from: number; readonly to: number; readonly step: number }

/** Counts updates by row: under `newest_block` rows are trained at different steps, and Adam's bias correction belongs to each row's own count. */
export interface StepCounter {
  /** Counts one update of these rows (null: all) and says where which count holds now. */
  advance(rows: readonly RowRange[] | null): Stretch[];
  counts(): StepCounts;
  load(counts: StepCounts): void;
}

export function stepCounter(): StepCounter {
  let rowCounts: number[] = [], rest = 0;
  const stretches = (from: number, to: number): Stretch[] => {
    const found: Stretch[] = [];
    for (let row = from; row < to;) {
      let end = row + 1;
      while (end < to && rowCounts[end] === rowCounts[row]) end++;
      found.push({ from: row, to: end, step: rowCounts[row]! });
      row = end;
    }
    return found;
  };
  const advanceAll = (): Stretch[] => {
    rest++;
    rowCounts = rowCounts.map((count) => count + 1);
    return [...stretches(0, rowCounts.length), { from: rowCounts.length, to: Infinity, step: rest }];
  };
  const advanceRange = ([from, to]: RowRange): Stretch[] => {
    while (rowCounts.length < to) rowCounts.push(rest);
    for (let row = from; row < to; row++) rowCounts[row]!++;
    return stretches(from, to);
  };
  return {
    advance: (rows) => (rows ? rows.flatMap(advanceRange) : advanceAll()),
    counts: () => ({ rows: [...rowCounts], rest }),
    load: (counts) => { rowCounts = [...counts.rows]; rest = counts.rest; },
  };
}
