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

/** More than one, since special tokens have no text. */
const CONTEXT_TOKENS = 8;

/**
 * Decodes only the last tokens of a text: those since the last complete character, with the ones before it,
 * because a token may be written differently at the beginning of a text (SentencePiece).
 *
 * @param context the tokens that the text goes on from; none where it begins a text of its own
 */
export function createTextDecoder(
  tokenizer: Pick<Tokenizer, 'decode'>,
  context: readonly number[] = [],
  { skipSpecialTokens = true }: { readonly skipSpecialTokens?: boolean } = {},
): TextDecoder {
  const ids = wholeContext(tokenizer, context);
  let before = 0; // first token that is decoded again
  let done = ids.length; // tokens whose text was returned
  const decode = (from: number, to: number): string =>
    tokenizer.decode(ids.slice(from, to), { skipSpecialTokens });
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

/** The last tokens of a text, which decide how the next one is written; none after part of a character. */
function wholeContext(tokenizer: Pick<Tokenizer, 'decode'>, context: readonly number[]): number[] {
  const last = context.slice(-CONTEXT_TOKENS);
  return isWhole(tokenizer.decode(last, { skipSpecialTokens: true })) ? last : [];
}
