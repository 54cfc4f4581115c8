import { badData, kindOf } from '../bad-data.ts';
import { decodeText } from './decode-text.ts';
import { assertPlainJson } from './plain-json.ts';

/**
 * The bytes of one row as a record with own keys only, no prototype; null for a blank line.
 *
 * @throws QdyloraError BAD_DATA for invalid UTF-8, malformed JSON, what is no object, a `__proto__` key or absurd nesting.
 */
export function parseRow(bytes: Uint8Array, where: string): Record<string, unknown> | null {
  const text = decodeText(bytes, where);
  if (text.trim() === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const isOpen = text.trim() === '{'; // the first line of a file for people to read
    throw badData(where, `expected a JSON object for a row, got ${isOpen ? 'only its beginning' : text.startsWith('\0') || text[1] === '\0' ? 'what looks like UTF-16, or no text' : `malformed JSON: ${(cause as Error).message}`}`, isOpen ? 'Write each object on one line (jq -c . does), or all of them as a list: [ {…}, {…} ].' : 'Correct or delete this line.', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badData(where, `expected a JSON object for a row, got ${kindOf(value)}`, 'Write {"text": "…"} or another known shape.');
  assertPlainJson(value, where);
  return Object.assign(Object.create(null) as Record<string, unknown>, value);
}
