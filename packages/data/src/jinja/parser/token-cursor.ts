/** A token of @huggingface/jinja's lexer. */
export interface Token {
  readonly type: string;
  readonly value: string;
}

/** Reads tokens one after another. */
export class TokenCursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** The token to read next, or one behind it; undefined behind the last one. */
  peek(offset = 0): Token | undefined {
    const at = this.#at + offset;
    return at < this.#tokens.length ? this.#tokens[at] : undefined;
  }

  is(type: string, value?: string): boolean {
    const token = this.peek();
    return token?.type === type && (value === undefined || token.value === value);
  }

  isWord(...words: readonly string[]): boolean {
    const token = this.peek();
    return token?.type === 'Identifier' && words.includes(token.value);
  }

  /** True before `{%` and one of these words. */
  isStatement(...words: readonly string[]): boolean {
    if (!this.is('OpenStatement')) return false;
    const token = this.peek(1);
    return token?.type === 'Identifier' && words.includes(token.value);
  }

  /** Reads the next token. @throws SyntaxError at the end of the template */
  take(): Token {
    const token = this.peek();
    if (!token) throw new SyntaxError('the template ends inside of a tag or a block');
    this.#at++;
    return token;
  }

  /** Reads the next token if it is of this type. */
  skip(type: string): boolean {
    if (!this.is(type)) return false;
    this.#at++;
    return true;
  }

  /** Reads the next token if it is this word. */
  skipWord(word: string): boolean {
    if (!this.isWord(word)) return false;
    this.#at++;
    return true;
  }

  /** Reads a token of a type. @throws SyntaxError for another one; `name` is how it is written */
  expect(type: string, name: string): Token {
    const token = this.peek();
    if (token?.type === type) return this.take();
    throw new SyntaxError(`${name} is missing ${token ? `before ${shownToken(token)}` : 'at the end'}`);
  }

  expectWord(word: string): void {
    const token = this.expect('Identifier', `\`${word}\``);
    if (token.value !== word) throw new SyntaxError(`\`${word}\` is missing before \`${token.value}\``);
  }
}

/** A token as the template has it, shortened. */
export function shownToken({ type, value }: Token): string {
  const text = value.length > 40 ? `${value.slice(0, 40)}…` : value;
  return type === 'StringLiteral' ? JSON.stringify(text) : type === 'Text' ? 'text' : `\`${text}\``;
}
