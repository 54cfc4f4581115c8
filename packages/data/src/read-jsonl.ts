import { badData, kindOf } from './bad-data.ts';
import { assertPlainJson } from './plain-json.ts';
import { decodeText } from './decode-text.ts';
import { readLines } from './read-lines.ts';

/** One row of a JSON Lines file. */
export interface JsonlRow {
  /** Own keys only, no prototype. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/**
 * The rows of a JSON Lines file, one in memory at a time. Blank lines are passed over; a byte order mark, `\r\n` and a missing last newline are fine.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA, naming file and line, for a file without rows, malformed JSON, invalid UTF-8, a row that is not an
 * object, a `__proto__` key, or a line over the limit.
 */
export function* readJsonl(file: string): Generator<JsonlRow> {
  let rows = 0;
  for (const { bytes, number } of readLines(file)) {
    const where = `${file}:${number}`, text = decodeText(bytes, where);
    if (text.trim() === '') continue;
    rows++;
    yield { value: parseRow(text, where, rows === 1), file, line: number };
  }
  if (rows === 0) throw badData(file, 'expected at least one row for a dataset, got an empty file', 'Put one JSON object on each line.');
}

function parseRow(text: string, where: string, isFirst: boolean): Record<string, unknown> {
  if (isFirst && text.trimStart().startsWith('[')) {
    throw badData(where, 'expected one JSON object on each line, got the beginning of a JSON list', "Convert it: jq -c '.[]' in.json > out.jsonl");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badData(where, `expected one JSON object on the line, got malformed JSON: ${(cause as Error).message}`, 'Correct or delete this line.', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badData(where, `expected a JSON object for a row, got ${kindOf(value)}`, 'Write {"text": "…"} or another known shape.');
  assertPlainJson(value, where);
  return Object.assign(Object.create(null) as Record<string, unknown>, value);
}
