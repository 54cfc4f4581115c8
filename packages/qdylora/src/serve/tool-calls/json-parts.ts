/** Strings of JSON (they may contain the other tokens) and its structural characters. */
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

/**
 * The index after the list or object that begins at `from`, by its brackets; -1 where none begins there or it
 * is not closed.
 */
export function endOfValue(text: string, from: number): number {
  if (text[from] !== '{' && text[from] !== '[') return -1;
  const tokens = new RegExp(JSON_TOKEN);
  tokens.lastIndex = from;
  let depth = 0;
  for (let found = tokens.exec(text); found; found = tokens.exec(text)) {
    if (found[0] === '{' || found[0] === '[') depth++;
    if (found[0] === '}' || found[0] === ']') depth--;
    if (depth === 0) return tokens.lastIndex;
  }
  return -1;
}
