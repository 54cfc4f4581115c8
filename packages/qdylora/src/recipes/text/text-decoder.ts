import type { Tokenizer } from '@qdylora/data';

/** Turns token ids into text, one after another. */
export interface TextDecoder {
  /** The text that is complete with this token; '' while a character is not. */
  push(id: number): string;
  /** What is left at the end: the characters of an incomplete one. */
  finish(): string;
}

/** U+FFFD at the end may be the first half of a character whose other half is the next token. */
const isWhole = (text: string): boolean => !text.endsWith('\ufffd');

/**
 * Decodes only the last tokens of a text: those since the last complete character, with the ones before it,
 * because a token may be written differently at the beginning of a text (SentencePiece).
 */
export function createTextDecoder(tokenizer: Pick<Tokenizer, 'decode'>): TextDecoder {
  const ids: number[] = [];
  let before = 0; // first token that is decoded again
  let done = 0; // tokens whose text was returned
  const decode = (from: number, to: number): string =>
    tokenizer.decode(ids.slice(from, to), { skipSpecialTokens: true });
  const rest = (): string => decode(before, ids.length).slice(decode(before, done).length);
  return {
    push(id) {
      ids.push(id);
      const text = decode(before, ids.length);
      const piece = text.slice(decode(before, done).length);
      if (piece === '' || !isWhole(text)) return '';
      before = done;
      done = ids.length;
      return piece;
    },
    finish: rest,
  };
}
