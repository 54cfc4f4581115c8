/** Reads the few JSON tokens of a file header directly from bytes, without building a tree. */
export interface JsonCursor {
  /** Byte offset of the next unread byte. */
  readonly position: number;
  skipSpace(): void;
  /** The next byte after white space, or −1 at the end. */
  peek(): number;
  /** Consumes the character, after white space; any other one is an error. */
  expect(character: string): void;
  /** Consumes the character if it is next, after white space. */
  accept(character: string): boolean;
  /** A string in double quotes: valid UTF-8, no lone surrogates, at most `maxBytes` between the quotes. */
  string(label: string, maxBytes: number): string;
  /** A whole number ≥ 0 without sign, fraction, exponent or leading zero, at most 2⁵³ − 1. */
  wholeNumber(label: string): number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
/** Space, line feed, carriage return, tab. */
const SPACES: readonly number[] = [SPACE, 0x0a, 0x0d, 0x09];
const ZERO = 0x30;
const NINE = 0x39;

/** `fail` makes the error that is thrown, from a clause in lower case and the byte offset. */
export function jsonCursor(bytes: Uint8Array, fail: (problem: string, offset: number) => Error): JsonCursor {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;

  const skipSpace = (): void => {
    while (at < bytes.length && SPACES.includes(bytes[at])) at++;
  };
  const peek = (): number => {
    skipSpace();
    return at < bytes.length ? bytes[at] : -1;
  };
  const accept = (character: string): boolean => {
    if (peek() !== character.charCodeAt(0)) return false;
    at++;
    return true;
  };
  const expect = (character: string): void => {
    if (!accept(character))
      throw fail(`the next character must be ${character} (got ${shownByte(bytes, at)})`, at);
  };

  const string = (label: string, maxBytes: number): string => {
    if (peek() !== QUOTE) throw fail(`${label} must be a string (got ${shownByte(bytes, at)})`, at);
    const start = at + 1;
    const { end, hasEscapes, isAscii } = scanString(bytes, start, maxBytes, (problem, offset) =>
      fail(
        problem.replace('%', () => label),
        offset,
      ),
    );
    at = end + 1;
    if (isAscii && !hasEscapes) return buffer.toString('latin1', start, end);
    return textOf(bytes.subarray(start - 1, at), decoder, hasEscapes, (problem) =>
      fail(`${label} ${problem}`, start),
    );
  };

  const wholeNumber = (label: string): number => {
    skipSpace();
    const start = at;
    const value = scanWholeNumber(bytes, start);
    if (value === null) throw fail(notWhole(label, shownToken(bytes, start)), start);
    at += String(value).length;
    return value;
  };

  return {
    get position() {
      return at;
    },
    skipSpace,
    peek,
    expect,
    accept,
    string,
    wholeNumber,
  };
}

const notWhole = (label: string, token: string): string =>
  `${label} must be a whole number from 0 to 2^53 − 1 (got ${token})`;

interface ScannedString {
  /** Offset of the closing quote. */
  readonly end: number;
  readonly hasEscapes: boolean;
  readonly isAscii: boolean;
}

/** Finds the end of the string whose text begins at `start`. In a problem, `%` is replaced by its name. */
function scanString(
  bytes: Uint8Array,
  start: number,
  maxBytes: number,
  fail: (problem: string, offset: number) => Error,
): ScannedString {
  const limit = Math.min(bytes.length, start + maxBytes + 1); // one more for the closing quote
  let end = start;
  let hasEscapes = false;
  let highBits = 0;
  for (; end < limit && bytes[end] !== QUOTE; end++) {
    const byte = bytes[end];
    if (byte < SPACE) throw fail(`% has an unescaped control character (byte ${byte})`, end);
    if (byte === BACKSLASH) {
      hasEscapes = true;
      end++;
    }
    highBits |= byte;
  }
  if (end < limit) return { end, hasEscapes, isAscii: highBits < 0x80 };
  throw fail(
    limit === bytes.length ? '% has no closing quote' : `% must be at most ${maxBytes} bytes`,
    start,
  );
}

/** The digits at `start` as a number; null unless they are a whole number in its shortest form. */
function scanWholeNumber(bytes: Uint8Array, start: number): number | null {
  let at = start;
  let value = 0;
  while (at < bytes.length && bytes[at] >= ZERO && bytes[at] <= NINE && at - start < 17)
    value = value * 10 + (bytes[at++] - ZERO);
  const digits = at - start;
  const next = bytes[at] ?? -1;
  const isWhole =
    digits > 0 &&
    !(digits > 1 && bytes[start] === ZERO) &&
    (next === -1 || ', \t\r\n]}'.includes(String.fromCharCode(next)));
  return isWhole && Number.isSafeInteger(value) ? value : null;
}

/** Decodes a string with its quotes. */
function textOf(
  quoted: Uint8Array,
  decoder: { decode(bytes: Uint8Array): string },
  hasEscapes: boolean,
  fail: (problem: string) => Error,
): string {
  let text: string;
  try {
    text = decoder.decode(quoted);
  } catch {
    throw fail('is not valid UTF-8');
  }
  try {
    text = hasEscapes ? (JSON.parse(text) as string) : text.slice(1, -1);
  } catch {
    throw fail('has an invalid escape');
  }
  if (/\p{Surrogate}/u.test(text)) throw fail('has a lone surrogate');
  return text;
}

const shownByte = (bytes: Uint8Array, at: number): string =>
  at >= bytes.length
    ? 'the end'
    : bytes[at] > SPACE && bytes[at] < 0x7f
      ? String.fromCharCode(bytes[at])
      : `byte ${bytes[at]}`;

const SHOWN_TOKEN_BYTES = 24;

const shownToken = (bytes: Uint8Array, start: number): string =>
  start >= bytes.length
    ? 'the end'
    : JSON.stringify(
        /^[^,\]}\s]*/.exec(
          Buffer.from(bytes.subarray(start, start + SHOWN_TOKEN_BYTES)).toString('latin1'),
        )![0],
      );
