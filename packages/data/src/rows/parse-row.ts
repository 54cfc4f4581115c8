import { badData, kindOf } from '../bad-data.ts';
import { decodeText } from './decode-text.ts';
import { assertPlainJson } from './json/assert-plain-json.ts';

/**
 * Parses the bytes of one row into a record without prototype; null for a blank line.
 *
 * @throws QdyloraError BAD_DATA for invalid UTF-8, malformed JSON, anything but an object, a `__proto__` key
 * or excessive nesting.
 */
export function parseRow(bytes: Uint8Array, where: string): Record<string, unknown> | null {
  const text = decodeText(bytes, where);
  if (text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const [got, nextStep] = misread(text, where) ?? [
      `malformed JSON: ${(cause as Error).message}`,
      'Correct or delete this line.',
    ];
    throw badData(where, `A row must be a JSON object (got ${got})`, nextStep, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const [got, nextStep] = lineOfTable(where) ?? [
      kindOf(value),
      'Write {"text": "…"} or another known shape.',
    ];
    throw badData(where, `A row must be a JSON object (got ${got})`, nextStep);
  }
  assertPlainJson(value, where);
  return Object.assign(Object.create(null) as Record<string, unknown>, value);
}

type Mistake = readonly [got: string, nextStep: string];

/** Recognizes files that are often mistaken for rows, and says what to do. */
function misread(text: string, where: string): Mistake | undefined {
  const table = lineOfTable(where);
  if (table) return table;
  if (text.trim() === '{')
    return [
      'only its beginning',
      'Write each object on one line (jq -c . does), or all of them as a list: [ {…}, {…} ].',
    ]; // the first line of pretty-printed JSON
  if (text.startsWith('\0') || text[1] === '\0')
    return [
      'text that looks like UTF-16, or no text',
      'Convert it, for instance: iconv -f UTF-16 -t UTF-8 in.jsonl > out.jsonl',
    ];
  return undefined;
}

/** A line of CSV or TSV, by the name of its file. It may be valid JSON: a quoted text, a number. */
function lineOfTable(where: string): Mistake | undefined {
  const table = /\.([ct])sv:\d+$/i.exec(where);
  if (!table) return undefined;
  const from = table[1].toLowerCase() === 't' ? String.raw`'in.tsv', sep='\t'` : "'in.csv'";
  return [
    'a line of a table',
    `Convert it: python -c "import pandas; pandas.read_csv(${from}).to_json('out.jsonl', ` +
      `orient='records', lines=True)"`,
  ];
}
