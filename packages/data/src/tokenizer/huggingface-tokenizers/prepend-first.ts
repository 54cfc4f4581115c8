import { MetaspacePreTokenizer, type Tokenizer } from '@huggingface/tokenizers';
import { partsOf } from './parts-of.ts';

/** Private members of the library's tokenizer. */
interface Members {
  readonly added_tokens_map: ReadonlyMap<string, unknown>;
  readonly splitter_normalized: { split(text: string): string[] };
}

/**
 * Corrects `Metaspace` with the scheme `first`, which puts ▁ in front of a text: the library puts it in front
 * of every piece up to the first added token that is matched before normalizing. Rust puts it only in front
 * of the first piece of the text.
 */
export function prependFirst(library: Tokenizer): void {
  const { pre_tokenizer: preTokenize } = library;
  const marks = partsOf(preTokenize).filter(
    (part) => part instanceof MetaspacePreTokenizer && part.prepend_scheme === 'first',
  );
  if (!preTokenize || marks.length === 0) return;
  for (const part of marks)
    part.pre_tokenize = (texts, options) =>
      [texts].flat().flatMap((text, i) => part.pre_tokenize_text(text, i === 0 ? options : undefined));
  const { added_tokens_map: added, splitter_normalized: splitter } = library as unknown as Members;
  const split = splitter.split.bind(splitter);
  let isFirst = false; // the next text to pre-tokenize is the first of its section
  splitter.split = (section) => {
    const texts = split(section);
    isFirst = texts.length > 0 && !added.has(texts[0]);
    return texts;
  };
  library.pre_tokenizer = ((text: string, options?: object) => {
    const shown = isFirst ? options : undefined;
    isFirst = false;
    return preTokenize(text, shown);
  }) as unknown as Tokenizer['pre_tokenizer'];
}
