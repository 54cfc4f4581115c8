import type { AddedToken, Tokenizer } from '@huggingface/tokenizers';

/** Cuts a text at its added tokens, the longest ones first, and keeps both: [text, token, text, …]. */
interface Splitter {
  split(text: string): string[];
}

/** Private members of the library's tokenizer. */
interface Members {
  readonly added_tokens_map: Map<string, AddedToken>;
  readonly splitter_unnormalized: Splitter;
  encode_text(text: string | null): string[] | null;
}

/** Added tokens by the text that they are matched as, and what cuts a text at them. */
interface AddedTokens {
  readonly tokenOf: ReadonlyMap<string, AddedToken>;
  readonly splitter: Splitter;
}

/**
 * Replaces the library's `encode_text`, which cuts a text at its added tokens and gives the rest to the
 * normalizer, the pre-tokenizer and the model. It differs from Rust in these points:
 *
 * - Tokens with `lstrip` or `rstrip` take JavaScript's white space, which contains U+FEFF and lacks U+0085;
 *   Rust takes Unicode's White_Space. They also remove a neighbouring token that consists of white space.
 * - A text that equals an added token only after it is normalized becomes that token, even if the token is
 *   matched before. So `</S>` becomes `</s>` under a normalizer that lowers letters.
 * - Tokens that are matched after normalizing are also found as they are written in the file.
 * - `Metaspace` with the scheme `first` puts ▁ in front of every piece up to the first added token. Rust puts
 *   it only in front of the first piece of the text (`prependFirst` does the same within a piece).
 * - `remove_space` and `do_lowercase_and_remove_accent` of tokenizer_config.json change the text. They belong
 *   to the tokenizers of transformers that are written in Python.
 *
 * Call it when the normalizer is as it shall be: it normalizes the tokens that are matched afterwards.
 */
export function replaceEncodeText(library: Tokenizer): void {
  const members = library as unknown as Members;
  const before = tokensOf(library, false);
  const after = tokensOf(library, true);
  for (const [content, token] of after.tokenOf) members.added_tokens_map.set(content, token);
  members.encode_text = (text) =>
    text === null
      ? null
      : cut(text, before).flatMap((section, i) => {
          if (section === '' || before.tokenOf.has(section)) return [section].filter(Boolean);
          const normalized = library.normalizer ? library.normalizer(section) : section;
          return cut(normalized, after).flatMap((piece, j) =>
            piece === '' || after.tokenOf.has(piece)
              ? [piece].filter(Boolean)
              : tokensOfPiece(library, piece, i === 0 && j === 0),
          );
        });
}

/** The tokens that are matched before normalizing, or those that are matched afterwards. */
function tokensOf(library: Tokenizer, isNormalized: boolean): AddedTokens {
  const { normalizer } = library;
  const { splitter_unnormalized: splitter } = library as unknown as Members;
  const tokenOf = new Map<string, AddedToken>();
  for (const token of library.get_added_tokens_decoder().values()) {
    const isOther = token.normalized && normalizer !== null;
    if (isOther === isNormalized) tokenOf.set(isOther ? normalizer(token.content) : token.content, token);
  }
  const Splitter = splitter.constructor as new (texts: readonly string[]) => Splitter;
  return { tokenOf, splitter: new Splitter([...tokenOf.keys()].filter(Boolean)) };
}

/** Texts and tokens in turn, the texts without the white space that their neighbours take. */
function cut(text: string, { tokenOf, splitter }: AddedTokens): string[] {
  const sections = splitter.split(text);
  return sections.map((section, i) => {
    if (tokenOf.has(section)) return section;
    const left = tokenOf.get(sections[i - 1])?.rstrip ? section.replace(/^\p{White_Space}+/u, '') : section;
    return tokenOf.get(sections[i + 1])?.lstrip ? withoutEnd(left) : left;
  });
}

/** A pattern for the end would look at each run of white space up to its end, from each of its characters. */
function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1])) end--;
  return text.slice(0, end);
}

function tokensOfPiece(
  { pre_tokenizer: split, model }: Tokenizer,
  piece: string,
  isFirst: boolean,
): string[] {
  const pieces = split ? split(piece, { section_index: isFirst ? 0 : 1 }) : [piece];
  return (model as unknown as (pieces: string[]) => string[])(pieces);
}
