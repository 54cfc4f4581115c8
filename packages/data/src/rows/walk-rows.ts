import type { BadRows } from '../dataset/bad-rows.ts';
import type { Row } from '../formats/row-format.ts';
import { decodeText } from './decode-text.ts';
import { parseExactJson } from './json/parse-exact-json.ts';
import { parseRow } from './parse-row.ts';
import { noRows } from './no-rows.ts';
import type { Line, Place } from './read-lines.ts';
import type { RowFile } from './row-file.ts';

/** One entry of a file; `row` is null if the line is blank or unusable. */
export interface WalkedRow {
  readonly row: Row | null;
  readonly place: Place;
}

/**
 * All entries of a file in order, with one in memory at a time.
 *
 * @throws QdyloraError BAD_DATA with file and line, unless bad rows are skipped; the same for a file without
 * rows.
 */
export function* walkRows(file: RowFile, bad: BadRows): Generator<WalkedRow> {
  let isEmpty = true;
  for (const line of file.rows()) {
    const before = bad.count;
    const row = bad.attempt(() => readRow(file, line));
    isEmpty &&= row === null && bad.count === before;
    yield { row, place: line };
  }
  if (isEmpty) bad.skipEmptyFile(file.file, noRows(file.file, file.empty));
}

/** Parses a line as a row; null for a blank line. @throws QdyloraError BAD_DATA */
export function readRow(file: RowFile, line: Line): Row | null {
  if (line.error) throw line.error;
  const where = file.where(line);
  const value = parseRow(line.bytes, where);
  return (
    value && {
      value,
      where,
      source: { file: file.file, line: line.line },
      exact: (key) =>
        (parseExactJson(decodeText(line.bytes, where)) as ReadonlyMap<string, unknown>).get(key),
    }
  );
}
