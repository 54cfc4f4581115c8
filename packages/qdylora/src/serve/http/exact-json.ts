import { parseExactJson } from '@qdylora/data';
import { JSON_TOKEN } from '../tool-calls/json-parts.ts';

/** Levels of nesting that JSON of a request may have: readers and templates are recursive. */
export const MOST_LEVELS = 64;

/** Whether a JSON text has at most so many levels, in values that a repeated key replaces too. */
export function hasFewLevels(json: string): boolean {
  let levels = 0;
  for (const { 0: token } of json.matchAll(JSON_TOKEN)) {
    if (token === '{' || token === '[') levels++;
    if (token === '}' || token === ']') levels--;
    if (levels > MOST_LEVELS) return false;
  }
  return true;
}

/**
 * The arguments of a tool call, from their JSON text, with the order of their keys and all digits of their
 * whole numbers, as training reads them. Clients also send a blank text or `null` for no arguments, and JSON
 * text within a JSON string. Null where the text holds no object.
 */
export function callArguments(text: string): ReadonlyMap<string, unknown> | null {
  if (text.trim() === '') return new Map();
  if (!hasFewLevels(text)) return null;
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch {
    return null;
  }
  if (plain === null) return new Map();
  if (typeof plain === 'string') return callArguments(plain);
  const isObject = typeof plain === 'object' && !Array.isArray(plain);
  return isObject ? (parseExactJson(text) as ReadonlyMap<string, unknown>) : null;
}
