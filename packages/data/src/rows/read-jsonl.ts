import { badData } from '../bad-data.ts';
import { noRows } from './no-rows.ts';
import { parseRow } from './parse-row.ts';
import { readLines } from './read-lines.ts';

/** One row of a JSON Lines file. */
export interface JsonlRow {
  /** A record without prototype. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly file: string;
  /** The line number, from 1. */
  readonly line: number;
}

/**
 * The rows of a JSON Lines file, with one row in memory at a time. Blank lines are skipped. A byte order
 * mark, `\r\n` and a missing last newline are accepted.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA with file and line for a file without rows, malformed JSON,
 * invalid UTF-8, a row that is not an object, a `__proto__` key, or a line over the limit.
 */
export function* readJsonl(file: string): Generator<JsonlRow> {
  let rows = 0;
  for (const { bytes, line } of readLines(file)) {
    const where = `${file}:${line}`;
    if (rows === 0 && bytes.toString('latin1').trimStart().startsWith('[')) {
      throw badData(
        where,
        'Each line must be one JSON object, but the file begins a JSON list',
        "Convert it: jq -c '.[]' in.json > out.jsonl, or read it with loadDataset.",
      );
    }
    const value = parseRow(bytes, where);
    if (value === null) continue;
    rows++;
    yield { value, file, line };
  }
  if (rows === 0) throw noRows(file);
}
