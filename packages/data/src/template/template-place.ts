import type { Binary, Node } from '../jinja/nodes.ts';
import { RAW_BLOCK } from '../jinja/plain-source.ts';
import { shownMark } from './generation-marks.ts';

/** A position in a text, for people: `line 3, column 7`. */
export function placeOf(source: string, index: number): string {
  const before = source.slice(0, index);
  const line = before.split('\n').length;
  return `line ${line}, column ${index - before.lastIndexOf('\n')}`;
}

const TAGS = new RegExp(String.raw`${RAW_BLOCK}|\{#[\s\S]*?#\}|\{[{%][\s\S]*?(?:[}%]\}|$)`, 'g');

/** The tags of a template that its parser sees: a raw block as one, and no comments. */
function tagsOf(source: string): { readonly index: number; readonly text: string }[] {
  return Array.from(source.matchAll(TAGS), (match) => ({
    index: match.index,
    text: match[0],
  })).filter(({ text }) => !text.startsWith('{#'));
}

/** Quotes tag `number`, with its place. */
export function tagPlace(source: string, number: number): string {
  const tags = tagsOf(source);
  const tag = tags[Math.min(number, tags.length - 1)];
  return tag ? `${placeOf(source, tag.index)} (${quoted(shownMark(tag.text))})` : 'line 1, column 1';
}

/**
 * The first tag at which reading fails: `read` is tried on the source up to the end of a tag, by bisection.
 */
export function firstBadTag(source: string, read: (part: string) => unknown): string {
  const tags = tagsOf(source);
  const fails = (count: number): boolean => {
    const last = tags[count - 1];
    try {
      read(source.slice(0, last.index + last.text.length));
      return false;
    } catch {
      return true;
    }
  };
  let from = 0;
  let to = tags.length;
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (fails(middle)) to = middle;
    else from = middle;
  }
  return tagPlace(source, Math.max(0, to - 1));
}

/** The place of a part of a template, for errors: ` at line 3, column 7 (name)`; empty if it is not found. */
export function placeText(source: string, node: Node | null): string {
  const word = wordOf(node);
  const place = word === null ? null : wordPlace(source, word);
  return place === null ? '' : ` at ${place} (${word!})`;
}

/**
 * The name of a filter, test, function or variable in a part of a template, or the operator `%`, for finding
 * the part in its source.
 */
function wordOf(node: unknown): string | null {
  const part = node as Readonly<
    Record<'type' | 'value' | 'filter' | 'test' | 'callee' | 'property', unknown>
  > | null;
  if (!part) return null;
  // of the other operators a template has several
  if (part.type === 'BinaryExpression') return (node as Binary).operator.value === '%' ? '%' : null;
  if (part.type === 'Identifier') return typeof part.value === 'string' ? part.value : null;
  const named = part.filter ?? part.test ?? part.callee ?? part.property;
  return named ? wordOf(named) : null;
}

/**
 * The place of a name, preferably after `|`, `is` or `.`; of `%`, that after a quoted text. Null if it is not
 * found.
 */
function wordPlace(source: string, word: string): string | null {
  if (word === '%') {
    const operator = /(?<=['"]\s+)%(?!\})/.exec(source);
    return operator && placeOf(source, operator.index);
  }
  const name = word.replace(/[^\w]/g, '\\$&');
  const found =
    new RegExp(`(?:\\|\\s*|\\bis\\s+(?:not\\s+)?|\\.\\s*)${name}\\b`).exec(source) ??
    new RegExp(`\\b${name}\\b`).exec(source);
  return found && placeOf(source, found.index + found[0].length - word.length);
}

const quoted = (text: string): string =>
  (text.length > 60 ? `${text.slice(0, 57)}…` : text).replaceAll(/\s+/g, ' ');
