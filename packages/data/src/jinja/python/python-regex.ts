import { QdyloraError } from '@qdylora/contract';
import { PYTHON_SPACE } from './python-text.ts';
import { RegexGroups, type GroupKind } from './regex-groups.ts';

/**
 * Translates a regular expression of Python's `re` for texts into JavaScript's, with the flags `gu`.
 *
 * Differences that it removes: `\s`, `\d`, `\w`, `\b` know all of Unicode in Python; `.` excludes only the
 * newline; `$` also matches before a last newline; `\A`, `\Z`, `(?P<name>…)` and leading flags such as `(?s)`
 * are spelled otherwise; a backslash may stand before any punctuation; no match begins inside a character.
 *
 * @throws QdyloraError UNSUPPORTED for what JavaScript cannot express (`(?x)`, flags of a part, atomic
 * groups, possessive quantifiers, conditions, references to optional or repeated groups); BAD_CONFIG
 * for an invalid expression
 * @example
 * '😀 42'.match(pythonRegex('[0-9]*$')); // ['42', '']
 */
export function pythonRegex(pattern: string): RegExp {
  const { flags, start } = leadingFlags(pattern);
  const translator = new Translator(pattern, start, flags);
  const source = translator.translate();
  const javaScriptFlags = flags.has('i') ? 'giu' : 'gu';
  try {
    new RegExp(source, javaScriptFlags); // alone: its parentheses may not close those around it
    return new RegExp(`${BETWEEN_CHARACTERS}(?:${source})`, javaScriptFlags);
  } catch (cause) {
    throw invalid(pattern, (cause as Error).message, cause);
  }
}

/**
 * False between the two units of a surrogate pair. V8 also tries to match there and sees no character on
 * either side, so `$` would match inside an emoji.
 */
const BETWEEN_CHARACTERS = '(?:^|(?<=[^]))';
const WORD = '_\\p{L}\\p{N}';
const CLASSES: Readonly<Record<string, string>> = { s: PYTHON_SPACE, d: '\\p{Nd}', w: WORD };
/** Control characters that a letter after a backslash means in both languages. */
const SAME_ESCAPES: ReadonlySet<string> = new Set('nrtfv');
/** The openings of groups that are no captures. */
const KINDS: Readonly<Record<string, GroupKind>> = {
  '(?:': 'plain',
  '(?=': 'lookahead',
  '(?!': 'negative lookahead',
  '(?<=': 'lookbehind',
  '(?<!': 'negative lookbehind',
};
const SYNTAX: ReadonlySet<string> = new Set('^$\\.*+?()[]{}|/');

/** Flags at the beginning of an expression: `(?s)`, `(?im)`. */
function leadingFlags(pattern: string): { readonly flags: ReadonlySet<string>; readonly start: number } {
  const [group = '', letters = ''] = /^\(\?([aiLmsux]+)\)/.exec(pattern) ?? [];
  if (/[aLx]/.test(letters)) throw unsupported(pattern, `the flags ${group}`);
  return { flags: new Set(letters), start: group.length };
}

class Translator {
  readonly #pattern: string;
  readonly #flags: ReadonlySet<string>;
  readonly #groups = new RegexGroups();
  #at: number;

  constructor(pattern: string, start: number, flags: ReadonlySet<string>) {
    this.#pattern = pattern;
    this.#flags = flags;
    this.#at = start;
  }

  translate(): string {
    let source = '';
    while (this.#at < this.#pattern.length) source += this.#next();
    return source;
  }

  #take(length = 1): string {
    const text = this.#pattern.slice(this.#at, this.#at + length);
    this.#at += length;
    return text;
  }

  #startsWith(text: string): boolean {
    return this.#pattern.startsWith(text, this.#at);
  }

  #next(): string {
    const character = this.#pattern[this.#at];
    if (!'*+?{'.includes(character)) this.#groups.atom();
    switch (character) {
      case '\\':
        return this.#escape();
      case '[':
        return this.#class();
      case '(':
        return this.#group();
      case ')':
        this.#groups.close();
        return this.#take();
      case '|':
        this.#groups.alternative();
        return this.#take();
      case '.':
        this.#at++;
        return this.#flags.has('s') ? '[^]' : '[^\\n]';
      case '^':
        this.#at++;
        return this.#flags.has('m') ? '(?<![^\\n])' : '(?<![^])';
      case '$':
        this.#at++;
        return this.#flags.has('m') ? '(?![^\\n])' : '(?=\\n?(?![^]))';
      case '{':
        return this.#brace();
      case '}':
      case ']':
        this.#at++;
        return `\\${character}`;
      case '*':
      case '+':
      case '?':
        return this.#quantifier(this.#take());
      default:
        this.#at++;
        return character;
    }
  }

  /** `{2,}` is a quantifier, `{,3}` counts from 0, and any other brace is a character. */
  #brace(): string {
    const [text, from, to] = /^\{(\d*)((?:,\d*)?)\}/.exec(this.#pattern.slice(this.#at)) ?? [];
    if (text === undefined || text === '{}' || text === '{,}') {
      this.#at++;
      return '\\{';
    }
    this.#at += text.length;
    return this.#quantifier(`{${from === '' ? '0' : from}${to}}`);
  }

  #quantifier(text: string): string {
    if (this.#groups.quantifier()?.includes('look'))
      throw unsupported(this.#pattern, 'a quantifier behind a lookahead or a lookbehind');
    if (this.#startsWith('+')) throw unsupported(this.#pattern, 'a possessive quantifier');
    return this.#startsWith('?') ? `${text}${this.#take()}` : text;
  }

  #group(): string {
    const [named, name] = /^\(\?P<(\w+)>/u.exec(this.#pattern.slice(this.#at)) ?? [];
    if (named !== undefined) {
      this.#groups.open('capture', name);
      this.#at += named.length;
      return `(?<${name}>`;
    }
    if (this.#startsWith('(?P=')) {
      const reference = /^\(\?P=(\w+)\)/.exec(this.#pattern.slice(this.#at));
      if (!reference) throw invalid(this.#pattern, 'the name of a group is malformed');
      this.#at += reference[0].length;
      return this.#reference(reference[1], `\\k<${reference[1]}>`);
    }
    if (this.#startsWith('(?#')) {
      this.#at = this.#pattern.indexOf(')', this.#at) + 1 || this.#pattern.length;
      return '';
    }
    const known = Object.keys(KINDS).find((opening) => this.#startsWith(opening));
    if (known === undefined && this.#startsWith('(?'))
      throw unsupported(
        this.#pattern,
        `a group that begins with ${this.#pattern.slice(this.#at, this.#at + 4)}`,
      );
    this.#groups.open(known === undefined ? 'capture' : KINDS[known]);
    return this.#take(known?.length ?? 1);
  }

  /** A reference to a group, by its number or its name. */
  #reference(group: number | string, source: string): string {
    switch (this.#groups.referenceTo(group)) {
      case 'matched':
        return source;
      case 'unsure':
        throw unsupported(
          this.#pattern,
          `a reference to the group ${group}, which is optional, repeated or in another alternative`,
        );
      case 'open':
        throw invalid(this.#pattern, `the group ${group} has a reference to itself`);
      case 'missing':
        throw invalid(this.#pattern, `there is no group ${group} before the reference to it`);
    }
  }

  /** Digits behind a backslash and the digit `first`: a character in octal, or the number of a group. */
  #digits(first: string): string {
    const octal = first === '0' ? /^[0-7]{0,2}/ : /^[0-7]{2}/;
    const [rest] = (/[0-7]/.test(first) && octal.exec(this.#pattern.slice(this.#at))) || [];
    if (rest !== undefined) return this.#octal(first + this.#take(rest.length));
    const second = /^\d/.exec(this.#pattern.slice(this.#at))?.[0] ?? '';
    const number = Number(first + this.#take(second.length));
    return this.#reference(number, `(?:\\${number})`);
  }

  #octal(digits: string): string {
    const code = parseInt(digits, 8);
    if (code > 0xff) throw invalid(this.#pattern, `the octal escape \\${digits} is beyond \\377`);
    return `\\x${code.toString(16).padStart(2, '0')}`;
  }

  #escape(): string {
    this.#at++;
    const letter = this.#take();
    if (CLASSES[letter]) return `[${CLASSES[letter]}]`;
    const lower = letter.toLowerCase();
    if (CLASSES[lower]) return `[^${CLASSES[lower]}]`;
    switch (letter) {
      case 'b':
        return `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`;
      case 'B':
        return `(?:(?<=[${WORD}])(?=[${WORD}])|(?<![${WORD}])(?![${WORD}]))`;
      case 'A':
        return '(?<![^])';
      case 'Z':
        return '(?![^])';
      default:
        return /\d/.test(letter) ? this.#digits(letter) : this.#characterEscape(letter);
    }
  }

  /** What a backslash and a letter mean as one character, outside and inside of classes. */
  #characterEscape(letter: string): string {
    if (SAME_ESCAPES.has(letter)) return `\\${letter}`;
    const lengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
    if (lengths[letter]) return `\\u{${this.#take(lengths[letter])}}`;
    if (letter === 'a') return '\\x07';
    if (/[A-Za-z]/.test(letter) || letter === '') throw invalid(this.#pattern, `bad escape \\${letter}`);
    return SYNTAX.has(letter) || letter === '-' ? `\\${letter === '-' ? 'x2d' : letter}` : letter;
  }

  #class(): string {
    this.#at++;
    const isNegated = this.#startsWith('^');
    if (isNegated) this.#at++;
    let source = '';
    const complements: string[] = [];
    for (let isFirst = true; ; isFirst = false) {
      const character = this.#take();
      if (character === '') throw invalid(this.#pattern, 'unterminated character set');
      if (character === ']' && !isFirst) return characterSet(source, complements, isNegated);
      const complement = character === '\\' ? this.#complement() : undefined;
      if (complement !== undefined) complements.push(complement);
      else if (character === '\\') source += this.#classEscape();
      else source += ['[', ']', '^'].includes(character) ? `\\${character}` : character;
    }
  }

  /** The class whose complement an escape of a character set is: `\S`, `\D` or `\W`; undefined for others. */
  #complement(): string | undefined {
    const letter = this.#pattern[this.#at] ?? '';
    if (!['S', 'D', 'W'].includes(letter)) return undefined;
    this.#at++;
    return CLASSES[letter.toLowerCase()];
  }

  #classEscape(): string {
    const letter = this.#take();
    if (CLASSES[letter]) return CLASSES[letter];
    if (letter === 'b') return '\\x08';
    if (!/\d/.test(letter)) return this.#characterEscape(letter);
    const [digits] = /^[0-7]{1,3}/.exec(letter + this.#pattern.slice(this.#at, this.#at + 2)) ?? [];
    if (digits === undefined) throw invalid(this.#pattern, `bad escape \\${letter}`);
    this.#take(digits.length - 1);
    return this.#octal(digits);
  }
}

/** A character of `source` or outside of any of `complements`; negated: none of these. */
function characterSet(source: string, complements: readonly string[], isNegated: boolean): string {
  const outside = complements.map((inside) => `[^${inside}]`);
  if (outside.length === 0) return isNegated ? `[^${source}]` : `[${source}]`;
  // grouped, so that a quantifier repeats all of it
  if (isNegated) return `(?:${outside.map((other) => `(?!${other})`).join('')}[^${source}])`;
  return `(?:${[`[${source}]`, ...outside].join('|')})`;
}

const unsupported = (pattern: string, part: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'regular expression',
    problem: `${JSON.stringify(pattern)} has ${part}, which is not supported`,
    nextStep: 'Write the expression another way.',
  });

const invalid = (pattern: string, problem: string, cause?: unknown): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'regular expression',
    problem: `${JSON.stringify(pattern)} is not a valid regular expression: ${problem}`,
    nextStep: 'Correct it. Expressions are written as for Python.',
    cause,
  });
