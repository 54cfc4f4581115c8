import { UnknownJinja } from './python/values.ts';

const STRING = String.raw`'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"`;
/** What a tag may hold before its end: whole strings, and other characters. */
const INSIDE = String.raw`(?:${STRING}|[^'"])*?`;

/** A raw block, a comment, a statement or an expression, whole; raw blocks have groups. */
export const RAW_BLOCK = String.raw`\{%([-+]?)\s*raw\s*(-?)%\}([\s\S]*?)\{%([-+]?)\s*endraw\s*([-+]?)%\}`;
const TAG = new RegExp(String.raw`${RAW_BLOCK}|\{#[\s\S]*?#\}|\{%${INSIDE}%\}|\{\{${INSIDE}\}\}`, 'y');

/** How a tag is rewritten, and what it does with the whitespace around it, as Jinja's signs say. */
interface PlainTag {
  readonly text: string;
  readonly trimsBefore: boolean;
  readonly trimsBehind: boolean;
}

/**
 * A template in the part of Jinja that the lexer knows: a raw block becomes an expression, the signs of
 * `{%+ if x +%}` are gone, and the escapes of strings are JavaScript's.
 *
 * @param isTrimmed removes the spaces before a statement or a comment that begins a line, and the newline
 * behind one, as Jinja does with `lstrip_blocks` and `trim_blocks`. The option of the library would also
 * remove them where no tag is: in text (`100%}`) and in strings.
 */
export function plainSource(source: string, { isTrimmed }: { readonly isTrimmed: boolean }): string {
  let plain = '';
  let at = 0;
  for (let start = nextTag(source, at); start >= 0; start = nextTag(source, at)) {
    TAG.lastIndex = start;
    const match = TAG.exec(source);
    if (match === null) break; // it has no end, which the lexer reports
    const tag = match[3] === undefined ? plainTag(match[0]) : plainRaw(match, isTrimmed);
    const text = source.slice(at, start);
    const beginsLine = at === 0 || source[at - 1] === '\n';
    plain += (isTrimmed && tag.trimsBefore ? withoutIndent(text, beginsLine) : text) + tag.text;
    at = start + match[0].length;
    if (isTrimmed && tag.trimsBehind && source[at] === '\n') at++;
  }
  return plain + source.slice(at);
}

/** Where the next tag begins; -1 if there is none. */
function nextTag(source: string, from: number): number {
  const opening = /\{[{%#]/g;
  opening.lastIndex = from;
  return opening.exec(source)?.index ?? -1;
}

function plainTag(tag: string): PlainTag {
  if (tag.startsWith('{{'))
    return { text: withPlainStrings(tag.replace('{{+', '{{')), trimsBefore: false, trimsBehind: false };
  const text = tag.replace(/^(\{[%#])\+/, '$1').replace(/\+([%#]\})$/, '$1');
  return {
    text: tag.startsWith('{#') ? text : withPlainStrings(text),
    trimsBefore: tag[2] !== '+',
    trimsBehind: tag.at(-3) !== '+',
  };
}

/** A raw block as an expression of its text, with the signs of its outer sides. */
function plainRaw(match: RegExpExecArray, isTrimmed: boolean): PlainTag {
  const [before, inner, raw, end, behind] = match.slice(1);
  let text = inner === '-' ? raw.trimStart() : raw;
  if (end === '-') text = text.trimEnd();
  else if (end === '' && isTrimmed) text = withoutIndent(text, false);
  return {
    text: `{{${before === '-' ? '-' : ''} ${JSON.stringify(text)} ${behind === '-' ? '-' : ''}}}`,
    trimsBefore: before !== '+',
    trimsBehind: behind !== '+',
  };
}

/** Removes the last line of a text, if it is whole and holds only spaces. */
function withoutIndent(text: string, beginsLine: boolean): string {
  const lineStart = text.lastIndexOf('\n') + 1;
  const isWhole = lineStart > 0 || beginsLine;
  return isWhole && /^[ \t]*$/.test(text.slice(lineStart)) ? text.slice(0, lineStart) : text;
}

const STRINGS = new RegExp(STRING, 'g');
const ESCAPE = /\\([0-7]{1,3}|U[\da-fA-F]{8}|[\s\S])/g;

const withPlainStrings = (tag: string): string =>
  tag.replace(STRINGS, (text) => text.replace(ESCAPE, plainEscape));

/** An escape of Python's strings as the lexer knows it. An unknown one is a backslash and its character. */
function plainEscape(escape: string, code: string): string {
  if (/^[0-7]/.test(code)) return unicodeEscape(parseInt(code, 8));
  if (code.length > 1) return unicodeEscape(parseInt(code.slice(1), 16));
  if (code === 'N') throw new UnknownJinja('Unknown escape of a string: \\N');
  if (code === '\n') return '';
  if (code === 'a') return '\\x07';
  return 'ntrbfvxu\'"\\'.includes(code) ? escape : `\\${escape}`;
}

/** @throws SyntaxError beyond the last character of Unicode */
function unicodeEscape(code: number): string {
  if (code > 0x10ffff) throw new SyntaxError(`No character has the code ${code}`);
  return String.fromCodePoint(code)
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
