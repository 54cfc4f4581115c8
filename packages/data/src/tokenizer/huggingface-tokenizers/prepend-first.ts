import { MetaspacePreTokenizer, type Tokenizer } from '@huggingface/tokenizers';
import { partsOf } from './parts-of.ts';

/**
 * Corrects `Metaspace` with the scheme `first`, which puts ▁ in front of a text. If other pre-tokenizers cut
 * the text before, the library puts it in front of every piece; Rust puts it only in front of the first one.
 */
export function prependFirst(library: Tokenizer): void {
  for (const part of partsOf(library.pre_tokenizer))
    if (part instanceof MetaspacePreTokenizer && part.prepend_scheme === 'first')
      part.pre_tokenize = (texts, options) =>
        [texts].flat().flatMap((text, i) => part.pre_tokenize_text(text, i === 0 ? options : undefined));
}
