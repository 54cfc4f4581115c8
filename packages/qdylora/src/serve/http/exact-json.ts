import { parseExactJson } from '@qdylora/data';

/** Levels of nesting that JSON of a request may have, as rows of data may. */
export const MOST_LEVELS = 64;

/** Whether a value of JSON has at most so many levels: templates read it recursively. */
export const hasFewLevels = (value: unknown, most = MOST_LEVELS): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (most > 0 && Object.values(value).every((inner) => hasFewLevels(inner, most - 1)));

/**
 * The object that a JSON text holds, with the order of its keys and the spelling of its numbers, as training
 * reads them; an empty one for a blank text. Null where the text holds none.
 */
export function exactObject(text: string): ReadonlyMap<string, unknown> | null {
  if (text.trim() === '') return new Map();
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch {
    return null;
  }
  const isObject = typeof plain === 'object' && plain !== null && !Array.isArray(plain);
  return isObject && hasFewLevels(plain) ? (parseExactJson(text) as ReadonlyMap<string, unknown>) : null;
}
