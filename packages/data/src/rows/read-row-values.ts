import { templateValue, type Dict } from '../jinja/python/values.ts';
import { decodeText } from './decode-text.ts';
import { parseExactJson } from './json/parse-exact-json.ts';
import { openRowFile } from './row-file.ts';
import { parseRow } from './parse-row.ts';
import { noRows } from './no-rows.ts';

/** A row as Python reads it, and its place for errors: `file:line`. */
export interface RowValues {
  readonly value: Dict;
  readonly where: string;
}

/**
 * All rows of a file of JSON lines, a JSON list or Parquet, with the order of keys and the kinds of numbers
 * that Python sees.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA with file and line for a row that is not a JSON object, and for
 * a file without rows; WRITE_FAILED if a Parquet file cannot be copied; ABORTED
 * @example
 * const [row] = await readRowValues('test.jsonl');
 * row.value.get('question');
 */
export async function readRowValues(file: string, signal?: AbortSignal): Promise<RowValues[]> {
  const rowFile = await openRowFile(file, { signal });
  try {
    const rows: RowValues[] = [];
    for (const line of rowFile.rows()) {
      if (line.error) throw line.error;
      const where = rowFile.where(line);
      const text = decodeText(line.bytes, where);
      if (parseRow(line.bytes, where) === null) continue;
      rows.push({ value: templateValue(parseExactJson(text)) as Dict, where });
    }
    if (rows.length === 0) throw noRows(file, rowFile.empty);
    return rows;
  } finally {
    rowFile.close();
  }
}
