import { BPE, ByteLevelPreTokenizer, type Tokenizer } from '@huggingface/tokenizers';
import { byteToken, byteTokens } from './byte-tokens.ts';
import { partsOf } from './parts-of.ts';

/**
 * Removes the characters of a piece that byte pair encoding has no token for, if there is no unknown token
 * either. Rust removes them before it merges, so that the characters around one can be joined; the library
 * removes them only afterwards. Typical: a byte-level vocabulary that was trained without its whole alphabet.
 *
 * Returns null if no character is ever removed.
 */
export function unknownDropper({ model, pre_tokenizer }: Tokenizer): ((piece: string) => string) | null {
  if (!(model instanceof BPE) || typeof model.unk_token === 'string' || model.end_of_word_suffix) return null;
  const has = (token: string): boolean => model.tokens_to_ids.has(token);
  const spelling = partsOf(pre_tokenizer).find((part) => part instanceof ByteLevelPreTokenizer);
  const alphabet = spelling
    ? Object.values(spelling.byte_encoder)
    : model.byte_fallback
      ? Array.from({ length: 256 }, (_, byte) => byteToken(byte))
      : null;
  if (alphabet?.every(has)) return null;
  const isKnown = (character: string): boolean =>
    has(character) || (model.byte_fallback && byteTokens(character).every(has));
  return (piece) => {
    if (model.ignore_merges && has(piece)) return piece;
    const characters = Array.from(piece);
    return characters.every(isKnown) ? piece : characters.filter(isKnown).join('');
  };
}
