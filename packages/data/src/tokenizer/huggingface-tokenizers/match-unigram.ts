import { Unigram, type Tokenizer } from '@huggingface/tokenizers';

/**
 * Corrects a Unigram model of the library:
 *
 * - It passes all tokens of a piece as arguments of one call, which fails from about 120,000 tokens on.
 * - It ignores `byte_fallback`. In Rust, unknown characters become the tokens of their bytes (`<0xE6>`), if
 *   the vocabulary has all of them.
 */
export function matchUnigram({ model }: Tokenizer): void {
  if (!(model instanceof Unigram)) return;
  model.encode = (pieces) => pieces.flatMap((piece) => model.tokenize(piece));
  if ((model.config as { byte_fallback?: boolean }).byte_fallback !== true) return;
  const call = model._call.bind(model);
  const isKnown = (token: string): boolean => model.tokens_to_ids.has(token);
  model._call = (pieces) =>
    call(pieces).flatMap((token) => {
      const bytes = isKnown(token) ? [] : bytesOf(token);
      return bytes.length > 0 && bytes.every(isKnown) ? bytes : [token];
    });
}

const encoder = new TextEncoder();

/** The byte tokens of a text: `é` → `<0xC3>`, `<0xA9>`. */
const bytesOf = (text: string): string[] =>
  Array.from(encoder.encode(text), (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
