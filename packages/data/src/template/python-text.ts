/** A value as the template library holds it. */
export interface RuntimeValue {
  readonly type: string;
  readonly value: unknown;
  toString(): string;
}

/**
 * What Python's `str.isspace` calls white space: with the separators U+001C to U+001F and U+0085, which
 * JavaScript's `trim` leaves, and without U+FEFF, which it takes.
 */
const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEADING = new RegExp(`^[${SPACE}]+`);
const TRAILING = new RegExp(`[${SPACE}]+$`);
const WORDS = new RegExp(`[^${SPACE}]+`, 'g');

/** `str.strip`, `lstrip` and `rstrip`: white space, or any of `characters`. */
export function stripped(
  text: string,
  side: 'strip' | 'lstrip' | 'rstrip',
  characters: string | null = null,
): string {
  if (characters === null) {
    const right = side === 'rstrip' ? text : text.replace(LEADING, '');
    return side === 'lstrip' ? right : right.replace(TRAILING, '');
  }
  const given = new Set(characters);
  const units = Array.from(text);
  let from = 0;
  let to = units.length;
  while (side !== 'rstrip' && from < to && given.has(units[from]!)) from++;
  while (side !== 'lstrip' && to > from && given.has(units[to - 1]!)) to--;
  return units.slice(from, to).join('');
}

/** `str.split(None, most)`: words between white space; after `most` of them the rest as it is. */
export function wordsOf(text: string, most = -1): string[] {
  const found: string[] = [];
  for (const { 0: word, index } of text.matchAll(WORDS)) {
    if (found.length === most) return [...found, text.slice(index)];
    found.push(word);
  }
  return found;
}

/** `str.capitalize`. */
export const capitalized = (text: string): string => {
  const [first = ''] = text;
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
};

/** `str.title`: every run of letters begins with a large one. */
export const titled = (text: string): string => text.replace(/\p{L}+/gu, capitalized);

/** Jinja's filter `title`: words begin behind white space, hyphens and opening brackets. */
export const titledWords = (text: string): string =>
  text
    .split(new RegExp(`([-${SPACE}({[<]+)`))
    .map(capitalized)
    .join('');

/** `int(text)`, or of what `float` reads; null where neither reads it. */
export function wholeNumber(text: string): number | null {
  const digits = stripped(text, 'strip').replace(/(?<=\d)_(?=\d)/g, '');
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(digits) ? Math.trunc(Number(digits)) : null;
}

/**
 * `str(value)`, which is what Jinja prints: `None`, `True`, `1.0`, `['a', 1]`; nothing for what is not
 * defined. `step` is told of every part: a list of twice itself, again and again, has no end.
 */
export function pythonText(value: RuntimeValue, step: (count: number) => void): string {
  switch (value.type) {
    case 'StringValue':
      return value.value as string;
    case 'UndefinedValue':
      return '';
    default:
      return pythonRepr(value, step);
  }
}

function pythonRepr(value: RuntimeValue, step: (count: number) => void): string {
  const { type, value: own } = value;
  const all = (list: readonly RuntimeValue[]): string =>
    list.map((item) => pythonRepr(item, step)).join(', ');
  step(1);
  switch (type) {
    case 'StringValue':
      return quoted(own as string);
    case 'NullValue':
      return 'None';
    case 'UndefinedValue':
      return 'Undefined';
    case 'BooleanValue':
      return own ? 'True' : 'False';
    case 'FloatValue':
      return floatText(own as number);
    case 'IntegerValue':
      return wholeText(value);
    case 'ArrayValue':
      return `[${all(own as RuntimeValue[])}]`;
    case 'TupleValue':
      return `(${all(own as RuntimeValue[])}${(own as unknown[]).length === 1 ? ',' : ''})`;
    case 'ObjectValue':
      return `{${[...(own as Map<string, RuntimeValue>)].map(([key, inner]) => `${quoted(key)}: ` + `${pythonRepr(inner, step)}`).join(', ')}}`;
    default:
      return value.toString();
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(/[\\\p{C}\p{Z}'"]/gu, (character) => {
    if (character === ' ') return character;
    if (character === "'" || character === '"') return character === quote ? `\\${character}` : character;
    return ESCAPES[character] ?? codeEscape(character.codePointAt(0)!);
  });
  return quote + body + quote;
}

function codeEscape(code: number): string {
  const digits = code.toString(16);
  return code < 0x100
    ? `\\x${digits.padStart(2, '0')}`
    : code < 0x10000
      ? `\\u${digits.padStart(4, '0')}`
      : `\\U${digits.padStart(8, '0')}`;
}

/** A whole number; one beyond 2^53 has the digits that it was written with. */
export const wholeText = (value: RuntimeValue): string =>
  (value as { digits?: string }).digits ?? String(value.value);

/** The shortest digits that read back as the number, with an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const [digits, exponent] = value.toExponential().split('e') as [string, string];
  const power = Number(exponent);
  if (power < -4 || power >= 16)
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
