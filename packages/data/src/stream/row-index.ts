import type { Row } from '../formats/row-format.ts';
import type { Line, Place } from '../rows/read-lines.ts';
import type { RowFile } from '../rows/row-file.ts';
import { readRow } from '../rows/walk-rows.ts';

/**
 * Entries per stored position: about 50 bytes per thousand rows, and about 500 lines to skip on the way to a
 * row.
 */
export const ENTRIES_PER_MARK = 1024;

/** Positions of every 1,024th entry of a file. */
export interface RowIndex {
  /** Adds the next entry. */
  add(place: Place): void;
  /**
   * Reads the row of an entry; null if it is blank. @throws QdyloraError BAD_DATA, also if the file has
   * changed.
   */
  read(entry: number): Row | null;
}

/**
 * An index that is filled by one walk over a file and then finds any entry. Ascending entries are read
 * without seeking back.
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

/** The entry `skip` entries after a position. */
function lineAfter(file: RowFile, place: Place, skip: number): Line {
  let left = skip;
  for (const line of file.rows(place)) if (left-- === 0) return line;
  // unreachable: assertUnchanged has checked the file
  throw new RangeError(`no entry ${skip} after byte ${place.offset}`);
}
