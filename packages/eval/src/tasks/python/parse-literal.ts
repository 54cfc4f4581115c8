import { PythonFloat, Tuple, type PythonValue } from '@qdylora/data';

/** The text is no literal of Python. */
export class NotALiteral extends Error {}

/**
 * `ast.literal_eval(text)` for texts, numbers, `None`, booleans, lists, tuples and mappings from texts.
 *
 * @throws NotALiteral also for more than 64 levels of nesting
 * @example
 * parseLiteral("['it\\'s', 2]"); // ["it's", 2]
 */
export function parseLiteral(text: string): PythonValue {
  const reader = new LiteralReader(text.trim());
  const value = reader.value();
  reader.end();
  return value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const HEX_LENGTHS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const WORDS: ReadonlyMap<string, PythonValue> = new Map<string, PythonValue>([
  ['None', null],
  ['True', true],
  ['False', false],
]);

/** Levels of nesting that are read, as of rows. Thousands would fill the stack. */
const MAX_DEPTH = 64;
const MAX_CODE_POINT = 0x10ffff;

class LiteralReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): PythonValue {
    if (++this.#depth > MAX_DEPTH) throw this.#unexpected();
    const value = this.#valueAtDepth();
    this.#depth--;
    return value;
  }

  #valueAtDepth(): PythonValue {
    const first = this.#peek();
    if (first === '[') return this.#items(']').items;
    if (first === '(') {
      const { items, hasComma } = this.#items(')');
      return items.length === 1 && !hasComma ? items[0] : new Tuple(items);
    }
    if (first === '{') return this.#mapping();
    if (first === "'" || first === '"') return this.#strings();
    return this.#word();
  }

  end(): void {
    if (this.#peek() !== undefined) throw this.#unexpected();
  }

  #peek(): string | undefined {
    while (/[ \t\n\r]/.test(this.#text[this.#at] ?? '')) this.#at++;
    return this.#text[this.#at];
  }

  #takeIf(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #unexpected(): NotALiteral {
    return new NotALiteral(`unexpected ${this.#text[this.#at] ?? 'end'} at ${this.#at} of ${this.#text}`);
  }

  #items(close: string): { readonly items: PythonValue[]; readonly hasComma: boolean } {
    this.#at++;
    const items: PythonValue[] = [];
    let hasComma = false;
    while (!this.#takeIf(close)) {
      if (items.length > 0 && !hasComma) throw this.#unexpected();
      items.push(this.value());
      hasComma = this.#takeIf(',');
    }
    return { items, hasComma };
  }

  #mapping(): PythonValue {
    this.#at++;
    const entries = new Map<string, PythonValue>();
    for (let hasComma = true; !this.#takeIf('}');) {
      if (!hasComma) throw this.#unexpected();
      const key = this.value();
      if (typeof key !== 'string' || !this.#takeIf(':')) throw this.#unexpected();
      entries.set(key, this.value());
      hasComma = this.#takeIf(',');
    }
    return entries;
  }

  /** Texts one after another are one text. */
  #strings(): string {
    let text = '';
    for (let quote = this.#peek(); quote === "'" || quote === '"'; quote = this.#peek())
      text += this.#string(quote);
    return text;
  }

  #string(quote: string): string {
    if (this.#text.startsWith(quote.repeat(3), this.#at)) throw this.#unexpected();
    this.#at++;
    let text = '';
    for (;;) {
      const character = this.#text[this.#at++];
      if (character === undefined || character === '\n') throw this.#unexpected();
      if (character === quote) return text;
      text += character === '\\' ? this.#escape() : character;
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at++] ?? '';
    if (ESCAPES[letter] !== undefined) return ESCAPES[letter];
    const length = HEX_LENGTHS[letter];
    if (length !== undefined) {
      const digits = this.#text.slice(this.#at, (this.#at += length));
      if (digits.length < length || !/^[0-9a-fA-F]+$/.test(digits)) throw this.#unexpected();
      const code = Number.parseInt(digits, 16);
      if (code > MAX_CODE_POINT) throw this.#unexpected();
      return String.fromCodePoint(code);
    }
    const [octal] = /^[0-7]{1,3}/.exec(letter + this.#text.slice(this.#at, this.#at + 2)) ?? [];
    if (octal === undefined) return `\\${letter}`;
    this.#at += octal.length - 1;
    return String.fromCodePoint(Number.parseInt(octal, 8));
  }

  #word(): PythonValue {
    const [word = ''] = /^[+-]?[\w.]+(?:(?<=[eE])[+-]\d+)?/.exec(this.#text.slice(this.#at)) ?? [];
    this.#at += word.length;
    if (WORDS.has(word)) return WORDS.get(word);
    if (/^[+-]?(0+|[1-9]\d*)$/.test(word) && Number.isSafeInteger(Number(word))) return Number(word) + 0;
    if (/^[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?$/.test(word)) return new PythonFloat(Number(word));
    throw this.#unexpected();
  }
}
