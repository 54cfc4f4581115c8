import type { Tokenizer } from '@qdylora/data';
import { countCharacters } from './count-characters.ts';

/** The text that is complete with a token; '' while a character is not. */
export interface DecodedPiece {
  readonly text: string;
  /** Where the text of the token begins in it, in Unicode characters: behind an incomplete character. */
  readonly begin: number;
}

/** Turns token ids into text, one after another. */
export interface TextDecoder {
  push(id: number): DecodedPiece;
  /**
   * The text after the last complete character: U+FFFD for each byte sequence that the answer leaves
   * incomplete.
   */
  finish(): string;
}

/** U+FFFD at the end may be the first half of a character whose other half is the next token. */
const isWhole = (text: string): boolean => !text.endsWith('\ufffd');

/** More than one, since special tokens have no text. */
const CONTEXT_TOKENS = 8;
/** A slice that begins inside a character or has no text becomes longer, up to here; then it is all. */
const MOST_CONTEXT_TOKENS = 32;

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
  let incompleteText = ''; // behind these
  const decode = (from: number, to: number): string =>
    tokenizer.decode(ids.slice(from, to), { skipSpecialTokens });
  const rest = (): string => decode(before, ids.length).slice(decode(before, done).length);
  return {
    push(id) {
      ids.push(id);
      const text = decode(before, ids.length);
      const piece = text.slice(decode(before, done).length);
      if (piece === '' || !isWhole(text)) {
        incompleteText = piece;
        return { text: '', begin: 0 };
      }
      const begin = countCommonCharacters(incompleteText, piece);
      before = done;
      done = ids.length;
      incompleteText = '';
      return { text: piece, begin };
    },
    finish: rest,
  };
}

/** The last tokens of a text, which decide how the next one is written; none after part of a character. */
function wholeContext(tokenizer: Pick<Tokenizer, 'decode'>, context: readonly number[]): number[] {
  const { length } = context;
  for (let count = CONTEXT_TOKENS; ; count = count < MOST_CONTEXT_TOKENS ? count + 1 : length) {
    const last = context.slice(-count);
    const text = tokenizer.decode(last, { skipSpecialTokens: true });
    if (isWhole(text) && (text !== '' || count >= length)) return last;
    if (count >= length) return [];
  }
}

/** How many characters (code points) both texts begin with. */
function countCommonCharacters(first: string, second: string): number {
  const others = Array.from(second);
  const different = Array.from(first).findIndex((character, i) => character !== others[i]);
  return different < 0 ? countCharacters(first) : different;
}
