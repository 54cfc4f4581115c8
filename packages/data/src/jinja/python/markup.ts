import type { Value } from './values.ts';

/**
 * A string that the filter `safe` has marked, as markupsafe's `Markup`. The mark matters only to `+`, which
 * escapes the other string, also where templates escape nothing else. A name and a choice (`a if b else c`)
 * keep the mark; anything else reads the string without it.
 */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export const withoutMark = (value: Value | Markup): Value => (value instanceof Markup ? value.text : value);

/** `left + right` where one is marked; null where neither is, or the other is no string. */
export function markedSum(left: Value | Markup, right: Value | Markup): Markup | null {
  if (!(left instanceof Markup) && !(right instanceof Markup)) return null;
  const first = escaped(left);
  const second = escaped(right);
  return first === null || second === null ? null : new Markup(first + second);
}

/** markupsafe's `escape`; null for what is no string. */
function escaped(value: Value | Markup): string | null {
  if (value instanceof Markup) return value.text;
  return typeof value === 'string' ? value.replace(/[&<>'"]/g, (character) => ENTITIES[character]!) : null;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};
