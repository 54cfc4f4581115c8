import { ExactNumber } from './exact-number.ts';

/**
 * Parses JSON without losing the order of keys or the spelling of numbers. Records are Maps, because an
 * object would move `"10"` before `"a"`; numbers that JavaScript cannot hold exactly are `ExactNumber`s.
 * The text must have passed `JSON.parse` and a check of its nesting: nothing is checked again.
 *
 * @example
 * parseExactJson('{"b": 1.0, "2": 3}'); // Map { 'b' → ExactNumber 1.0, '2' → 3 }
 */
export function parseExactJson(text: string): unknown {
  let at = 0;
  const next = (): string => {
    while (WHITE_SPACE.has(text[at])) at++;
    return text[at];
  };
  const string = (): string => {
    const start = at++;
    for (; ; at++) {
      at = text.indexOf('"', at);
      let slashes = 0;
      while (text[at - 1 - slashes] === '\\') slashes++;
      if (slashes % 2 === 0) return JSON.parse(text.slice(start, ++at)) as string;
    }
  };
  const list = (): unknown[] => {
    const items: unknown[] = [];
    at++;
    while (next() !== ']') {
      items.push(value());
      if (next() === ',') at++;
    }
    at++;
    return items;
  };
  const record = (): Map<string, unknown> => {
    const entries = new Map<string, unknown>();
    at++;
    while (next() !== '}') {
      const key = string();
      next();
      at++; // the colon
      entries.set(key, value());
      if (next() === ',') at++;
    }
    at++;
    return entries;
  };
  const word = (): unknown => {
    const start = at;
    while (at < text.length && !ENDS.has(text[at])) at++;
    const written = text.slice(start, at);
    const plain = JSON.parse(written) as unknown;
    return typeof plain === 'number' ? ExactNumber.of(written) : plain;
  };
  const value = (): unknown => {
    switch (next()) {
      case '{':
        return record();
      case '[':
        return list();
      case '"':
        return string();
      default:
        return word();
    }
  };
  return value();
}

const WHITE_SPACE: ReadonlySet<string> = new Set(' \t\n\r');
const ENDS: ReadonlySet<string> = new Set(' \t\n\r,]}');
