import type { Row } from '../formats/row-format.ts';
import type { Line, Place } from '../rows/read-lines.ts';
import type { RowFile } from '../rows/row-file.ts';
import { readRow } from '../rows/walk-rows.ts';

/**
 * Entries between two places that are remembered: 16 bytes for a thousand rows, and some 500 lines to pass
 * over on the way to one.
 */
export const ENTRIES_PER_MARK = 1024;

/** Where entries of a file begin: every 1,024th. */
export interface RowIndex {
  /** Tells of the next entry. */
  add(place: Place): void;
  /**
   * The row of an entry, read now; null where it is blank. @throws QdyloraError BAD_DATA, also where the file
   * has changed.
   */
  read(entry: number): Row | null;
}

/**
 * An index that fills while a file is walked once, and then finds any entry again. Rising entries are read
 * without going back.
 */
export function rowIndex(file: RowFile): RowIndex {
  const marks: Place[] = [];
  let entries = 0;
  let next: { entry: number; place: Place } | null = null;
  const startFor = (entry: number): { entry: number; place: Place } => {
    const mark = Math.floor(entry / ENTRIES_PER_MARK);
    const from = mark * ENTRIES_PER_MARK;
    return next && next.entry >= from && next.entry <= entry ? next : { entry: from, place: marks[mark] };
  };
  return {
    add({ offset, line }) {
      if (entries % ENTRIES_PER_MARK === 0) marks.push({ offset, line });
      entries++;
    },
    read(entry) {
      file.assertUnchanged();
      const start = startFor(entry);
      const line = lineAfter(file, start.place, entry - start.entry);
      next = entry + 1 < entries ? { entry: entry + 1, place: line.next } : null;
      return readRow(file, line);
    },
  };
}

/** The entry `skip` entries after a place. */
function lineAfter(file: RowFile, place: Place, skip: number): Line {
  let left = skip;
  for (const line of file.rows(place)) if (left-- === 0) return line;
  throw new RangeError(`no entry ${skip} after byte ${place.offset}`); // assertUnchanged has looked before
}
