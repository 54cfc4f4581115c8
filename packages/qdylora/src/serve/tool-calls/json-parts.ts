/** Texts of JSON, which may hold the others, and the marks that structure it. */
export const JSON_TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g;

/**
 * The texts of a list's items, or of an object's keys and values in turn, as they are written; one empty text
 * for an empty list or object. `json` has passed `JSON.parse`.
 *
 * @example
 * partsOf('{"a": 1.0, "b": [2]}'); // ['"a"', '1.0', '"b"', '[2]']
 */
export function partsOf(json: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { 0: token, index } of json.matchAll(JSON_TOKEN)) {
    if (token === '{' || token === '[') depth++;
    if (token === '}' || token === ']') depth--;
    const isOpening = depth === 1 && from === 0;
    const isBetween = depth === 1 && (token === ',' || token === ':');
    if (isBetween || depth === 0) parts.push(json.slice(from, index).trim());
    if (isOpening || isBetween) from = index + 1;
  }
  return parts;
}
