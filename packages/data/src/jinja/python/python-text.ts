import { ExactNumber } from '../../rows/json/exact-number.ts';
import { Iterator, PythonFloat, Tuple, UnknownJinja, type Dict, type Value } from './values.ts';

/**
 * White space of Python's `str.isspace` and `\s`, for the inside of a character class: U+001C to U+001F and
 * U+0085 count, which JavaScript's `trim` keeps; U+FEFF does not, which `trim` removes.
 */
export const PYTHON_SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEADING = new RegExp(`^[${PYTHON_SPACE}]+`);
const SPACE_UNIT = new RegExp(`[${PYTHON_SPACE}]`);
const WORDS = new RegExp(`[^${PYTHON_SPACE}]+`, 'g');

/** Line ends, as in `str.splitlines`. */
export const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

/** `str.strip`, `lstrip` and `rstrip`: white space, or any of `characters`. */
export function stripped(
  text: string,
  side: 'strip' | 'lstrip' | 'rstrip',
  characters: string | null = null,
): string {
  if (characters === null) {
    const right = side === 'rstrip' ? text : text.replace(LEADING, '');
    return side === 'lstrip' ? right : right.slice(0, endOfWords(right));
  }
  const isStripped = new Set(characters);
  const units = Array.from(text);
  let from = 0;
  let to = units.length;
  while (side !== 'rstrip' && from < to && isStripped.has(units[from])) from++;
  while (side !== 'lstrip' && to > from && isStripped.has(units[to - 1])) to--;
  return units.slice(from, to).join('');
}

/**
 * Where the white space at the end begins. A pattern without an anchor at its start would be tried at every
 * unit of every run of white space.
 */
function endOfWords(text: string): number {
  let end = text.length;
  while (end > 0 && SPACE_UNIT.test(text[end - 1])) end--;
  return end;
}

/** `str.split(None, most)`: words between white space; after `most` of them the unsplit remainder. */
export function wordsOf(text: string, most = -1): string[] {
  const found: string[] = [];
  for (const { 0: word, index } of text.matchAll(WORDS)) {
    if (found.length === most) return [...found, text.slice(index)];
    found.push(word);
  }
  return found;
}

/** Title case where it is neither upper case nor its first letter: ŉ and the digraphs of Latin. */
const TITLE_CASES: ReadonlyMap<string, string> = new Map([
  ['ŉ', 'ʼN'],
  ...(['Ǆǅǆ', 'Ǉǈǉ', 'Ǌǋǌ', 'Ǳǲǳ'] as const).flatMap(([upper, title, lower]) =>
    [upper, title, lower].map((letter): [string, string] => [letter, title]),
  ),
]);

/** `str.capitalize`: title case, so that ß becomes Ss. */
export const capitalized = (text: string): string => {
  const [first = ''] = text;
  const [upper = '', ...others] = first.toUpperCase();
  const title = TITLE_CASES.get(first) ?? upper + others.join('').toLowerCase();
  return title + text.slice(first.length).toLowerCase();
};

/** `str.title`: capitalizes every run of letters. */
export const titled = (text: string): string => text.replace(/\p{L}+/gu, capitalized);

/**
 * Jinja's filter `title`: a word begins after white space, a hyphen or an opening bracket, with upper case
 * in place of title case (ß becomes SS).
 */
export const titledWords = (text: string): string =>
  text
    .split(new RegExp(`([-${PYTHON_SPACE}({[<]+)`))
    .map(([first = '', ...rest]) => first.toUpperCase() + rest.join('').toLowerCase())
    .join('');

/** `float(text)`; null if the text is not a number. */
export function parsedNumber(text: string): number | null {
  const word = asciiDigits(stripped(text, 'strip'));
  const [, sign, name] = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i.exec(word) ?? [];
  if (sign !== undefined) return name === undefined ? NaN : sign === '-' ? -Infinity : Infinity;
  const digits = word.replace(/(?<=\d)_(?=\d)/g, '');
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(digits) ? Number(digits) : null;
}

/** Digits of any script as those of ASCII: ٣ is 3. */
const asciiDigits = (text: string): string =>
  text.replace(/(?![0-9])\p{Nd}/gu, (digit) => String(digitValue(digit.codePointAt(0)!)));

const MATHEMATICAL_DIGITS = 0x1d7ce;

/** Each script has ten digits in a row, which begin at a multiple of 16 or 6 behind one. */
function digitValue(code: number): number {
  if (code >= MATHEMATICAL_DIGITS && code < MATHEMATICAL_DIGITS + 50)
    return (code - MATHEMATICAL_DIGITS) % 10;
  const place = code % 16;
  return /\p{Nd}/u.test(String.fromCodePoint(code - place)) ? place : place - 6;
}

/** Counts work. A template can make a value whose text has no end. */
export type Step = (count: number) => void;

/**
 * `str(value)`, as Jinja prints it: `None`, `True`, `1.0`, `['a', 1]`; nothing for an undefined value. Calls
 * `step` for every part, because a list that contains itself twice, repeatedly, has no end.
 */
export function pythonText(value: Value, step: Step): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : pythonRepr(value, step);
}

/** `repr(value)` */
function pythonRepr(value: Value, step: Step): string {
  const joined = (items: readonly Value[]): string => items.map((item) => pythonRepr(item, step)).join(', ');
  step(1);
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'undefined':
      return 'Undefined';
    case 'boolean':
      return value ? 'True' : 'False';
    case 'number':
      return String(value);
    case 'function':
      return '<function>';
    default:
  }
  if (value === null) return 'None';
  if (value instanceof PythonFloat) return floatText(value.value);
  if (value instanceof ExactNumber) return value.digits;
  if (value instanceof Iterator)
    throw new UnknownJinja('The text of an iterator is its address in memory; add `| list` to it');
  if (value instanceof Tuple) return `(${joined(value.items)}${value.items.length === 1 ? ',' : ''})`;
  if (Array.isArray(value)) return `[${joined(value as readonly Value[])}]`;
  const entries = value instanceof Map ? [...(value as Dict)] : [];
  return value instanceof Map
    ? `{${entries.map(([key, inner]) => `${quoted(key)}: ${pythonRepr(inner, step)}`).join(', ')}}`
    : '<Namespace>';
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

/** The shortest digits that parse to the same number, with an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const [digits, exponent] = value.toExponential().split('e') as [string, string];
  const power = Number(exponent);
  if (power < -4 || power >= 16)
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}
