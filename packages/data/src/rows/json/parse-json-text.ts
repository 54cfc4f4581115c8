import { badData } from '../../bad-data.ts';
import { parseExactJson } from './parse-exact-json.ts';
import { assertPlainJson } from './assert-plain-json.ts';

/**
 * Parses JSON text inside a row, as `parseExactJson` does.
 *
 * @param expected description of a valid value, for the error
 * @throws QdyloraError BAD_DATA for malformed JSON, a `__proto__` key or excessive nesting.
 */
export function parseJsonText(
  text: string,
  { where, expected }: { readonly where: string; readonly expected: string },
): unknown {
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch (cause) {
    throw badData(
      where,
      `This must be ${expected}, but its JSON is malformed: ${(cause as Error).message}`,
      'Correct or delete this line.',
      cause,
    );
  }
  assertPlainJson(plain, where);
  return parseExactJson(text);
}
