/** Most characters of a value in a message. */
const LONGEST_SHOWN = 80;

/** Deepest nesting of values that is shown. */
const DEEPEST = 4;

/**
 * A value as it appears in a message: strings in quotes, so that '3' differs from 3, and cut at 80
 * characters. Some callers compose messages before they know whether they need them. So it reads no more
 * than it shows, and calls no getters.
 */
export function shownValue(value: unknown): string {
  const text = textOf(value, 0);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function textOf(value: unknown, depth: number): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string')
    return JSON.stringify(value.length > LONGEST_SHOWN ? value.slice(0, LONGEST_SHOWN) : value);
  if (typeof value === 'function') return `a function${value.name ? ` (${value.name})` : ''}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return listText('[]', entriesOf(value, depth));
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null
    ? listText('{}', fieldsOf(value, depth))
    : (value.constructor?.name ?? 'an object');
}

function* entriesOf(values: readonly unknown[], depth: number): Generator<string> {
  if (depth >= DEEPEST && values.length > 0) return yield '…';
  for (let i = 0; i < values.length; i++) yield textOf(values[i], depth + 1);
}

function* fieldsOf(record: object, depth: number): Generator<string> {
  if (depth >= DEEPEST) return yield '…';
  for (const name in record) {
    const field = Object.getOwnPropertyDescriptor(record, name);
    if (field && (field.get || field.value !== undefined))
      yield `${JSON.stringify(name)}:${field.get ? '…' : textOf(field.value, depth + 1)}`;
  }
}

/** Joins parts between brackets until the text is longer than what is shown. */
function listText(brackets: '[]' | '{}', parts: Iterable<string>): string {
  let text = brackets[0];
  for (const part of parts) {
    text += `${text.length > 1 ? ',' : ''}${part}`;
    if (text.length > LONGEST_SHOWN) break;
  }
  return text + brackets[1];
}
