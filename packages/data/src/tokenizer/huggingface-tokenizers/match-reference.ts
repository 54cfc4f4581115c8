import {
  BertNormalizer,
  ByteFallbackDecoder,
  ByteLevelPreTokenizer,
  LowercaseNormalizer,
  MetaspaceDecoder,
  PrecompiledNormalizer,
  ReplaceDecoder,
  ReplaceNormalizer,
  SplitPreTokenizer,
  type Tokenizer,
} from '@huggingface/tokenizers';
import { replaceEncodeText } from './encode-text.ts';
import { matchUnigram } from './match-unigram.ts';
import { partsOf } from './parts-of.ts';
import { precompiledMap } from './precompiled-map.ts';
import { splitPieces, type SplitBehavior, type SplitRule } from './split-pieces.ts';

/** Word characters and punctuation, as in Rust's regular expressions. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\u200c\u200d';
const SPACE = '\\p{White_Space}';
const PUNCTUATION = '[\\p{P}$+<=>^`|~]';

interface PreTokenizer {
  readonly type?: string;
  readonly individual_digits?: boolean;
  readonly length?: number;
  readonly split?: boolean;
  readonly replacement?: string;
  readonly pretokenizers?: readonly unknown[];
  readonly behavior?: SplitBehavior;
}

/**
 * Corrects pre-tokenizers in which @huggingface/tokenizers 0.2.0 gives other tokens than the Rust library
 * that models are trained with. The differences were found by comparing both on random Unicode and on
 * tokenizers of every kind. Some are corrected in the file before the tokenizer is built (here), others in
 * the built tokenizer (`matchParts`).
 *
 * - `Digits` splits at ASCII digits only; Rust at every numeric character (½, ², Ⅷ, ४). Matters to SmolLM and
 *   Falcon.
 * - `Metaspace` never splits; Rust does unless told not to, and each piece begins with its ▁.
 * - `Punctuation` lacks the merging behaviors. `Whitespace` finds ASCII words only. `Whitespace`,
 *   `WhitespaceSplit` and `BertPreTokenizer` use JavaScript's white space.
 * - `FixedLength` counts UTF-16 units; Rust counts characters.
 */
export function matchPreTokenizer(part: unknown): unknown {
  const config = part as PreTokenizer | null;
  switch (config?.type) {
    case 'Sequence':
      // flat, so that `prependFirst` sees which piece is the first
      return {
        ...config,
        pretokenizers: (config.pretokenizers ?? []).map(matchPreTokenizer).flatMap(inside),
      };
    case 'Digits':
      return split(config.individual_digits ? '\\p{N}' : '\\p{N}+', 'Isolated');
    case 'Metaspace':
      return config.split === false
        ? config
        : { type: 'Sequence', pretokenizers: [config, wordsFrom(config.replacement ?? '▁')] };
    case 'Punctuation':
      return split(PUNCTUATION, config.behavior ?? 'Isolated');
    case 'Whitespace':
      return onlyMatches(`[${WORD}]+|[^${WORD}${SPACE}]+`);
    case 'WhitespaceSplit':
      return onlyMatches(`[^${SPACE}]+`);
    case 'BertPreTokenizer':
      return {
        type: 'Sequence',
        pretokenizers: [onlyMatches(`[^${SPACE}]+`), split(PUNCTUATION, 'Isolated')],
      };
    case 'FixedLength':
      return onlyMatches(`[\\s\\S]{1,${config.length ?? 5}}`);
    default:
      return part; // the library's other parts agree with Rust, or the library refuses them
  }
}

const inside = (part: unknown): readonly unknown[] =>
  (part as PreTokenizer | null)?.type === 'Sequence' ? ((part as PreTokenizer).pretokenizers ?? []) : [part];

const split = (pattern: string, behavior: SplitBehavior): unknown => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior,
  invert: false,
});

/** A pre-tokenizer whose pieces are the matches of the pattern; the rest is removed. */
const onlyMatches = (pattern: string): unknown => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Removed',
  invert: true,
});

/** A pre-tokenizer whose pieces begin with the mark. */
const wordsFrom = (mark: string): unknown => onlyMatches(`${mark}[^${mark}]*|[^${mark}]+`);

/**
 * Corrects the parts of a built tokenizer:
 *
 * - `ByteLevel` uses JavaScript's `\s` for white space, which contains U+FEFF and lacks U+0085; Rust uses
 *   Unicode's White_Space.
 * - `ByteFallback` drops U+FEFF at the start of bytes. For bytes that are not UTF-8, Rust writes one U+FFFD
 *   per byte of the run.
 * - `Metaspace` drops one mark of the first token; Rust drops all of them, and none if the pre-tokenizer adds
 *   none.
 * - `Split` lacks the merging behaviors, keeps matches of a text or a group that it should remove, and
 *   removes the rest of the text whenever it is inverted.
 * - `Precompiled` ignores its map and does about what SentencePiece's usual one does.
 * - `Lowercase` and `BertNormalizer` lower whole words, in which a last Σ becomes ς; Rust lowers each
 *   character alone. `BertNormalizer` also looks for Chinese characters among UTF-16 units; Rust finds those
 *   beyond U+FFFF too.
 * - Unknown tokens are fused over the whole text; in Rust, within a piece.
 * - An added token that is matched in normalized text is decoded as it is written in the file; in Rust, as it
 *   is matched: with the ▁ of its space.
 * - `Replace` reads `$&` in its content as the match; Rust writes it as it is.
 */
export function matchParts(library: Tokenizer): void {
  for (const part of partsOf(library.normalizer)) {
    if (part instanceof LowercaseNormalizer) part.normalize = lowered;
    if (part instanceof BertNormalizer) part.normalize = bertNormalizer(part);
    if (part instanceof PrecompiledNormalizer) part.normalize = precompiledMap(part.charsmap);
    if (part instanceof ReplaceNormalizer) part.config = withLiteralContent(part.config);
  }
  fuseInsidePieces(library);
  matchUnigram(library);
  for (const part of partsOf(library.pre_tokenizer)) {
    if (part instanceof SplitPreTokenizer) matchSplit(part);
    if (part instanceof ByteLevelPreTokenizer)
      part.pattern = new RegExp(
        part.pattern.source.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}'),
        'gu',
      );
  }
  for (const part of partsOf(library.decoder)) {
    if (part instanceof ByteFallbackDecoder)
      part.text_decoder = { decode: decodeRun } as unknown as ByteFallbackDecoder['text_decoder'];
    if (part instanceof MetaspaceDecoder) decodeMarks(part);
    if (part instanceof ReplaceDecoder) part.config = withLiteralContent(part.config);
  }
  decodeAsMatched(library);
  replaceEncodeText(library);
}

/** Lowers each character alone. */
const lowered = (text: string): string => Array.from(text, (character) => character.toLowerCase()).join('');

/** Chinese characters as `BertNormalizer` of the Rust library has them, the gap below U+2B920 included. */
const CHINESE = new RegExp(
  '[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff' +
    '\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]',
  'gu',
);

function bertNormalizer(part: BertNormalizer): (text: string) => string {
  const { clean_text: cleans, handle_chinese_chars: spaces, lowercase, strip_accents: strips } = part.config;
  const { clean_text: clean } = part as unknown as { clean_text(text: string): string };
  return (text) => {
    const cleaned = cleans ? clean.call(part, text) : text;
    const spaced = spaces ? cleaned.replace(CHINESE, ' $& ') : cleaned;
    const bare = (strips ?? lowercase) ? part.strip_accents(spaced) : spaced;
    return lowercase ? lowered(bare) : bare;
  };
}

/** The settings of a `Replace`, with each `$` doubled, which `replaceAll` writes as one. */
const withLiteralContent = <C extends { readonly content?: string }>(config: C): C => ({
  ...config,
  content: (config.content ?? '').replaceAll('$', '$$$$'),
});

function matchSplit(part: SplitPreTokenizer): void {
  const { pattern } = part;
  const { behavior, invert = false } = part.config as unknown as Partial<SplitRule>;
  // the library is right, and faster, where each match is a piece
  const isRight = behavior === undefined || behavior === (invert ? 'Removed' : 'Isolated');
  if (!isRight && pattern)
    part.pre_tokenize_text = (text) => splitPieces(text, pattern, { behavior, invert });
}

function fuseInsidePieces({ model }: Tokenizer): void {
  if (!model?.fuse_unk) return;
  const fused = model._call.bind(model);
  model._call = (pieces) => pieces.flatMap((piece) => fused([piece]));
}

function decodeAsMatched(library: Tokenizer): void {
  const { decoder, normalizer } = library;
  if (!decoder || !normalizer) return;
  const matched = new Map<string, string>();
  for (const { content, normalized, special } of library.get_added_tokens_decoder().values())
    if (normalized && !special) matched.set(content, normalizer(content));
  if (matched.size === 0) return;
  const decode = decoder.decode_chain.bind(decoder);
  decoder.decode_chain = (tokens) => decode(tokens.map((token) => matched.get(token) ?? token));
}

function decodeMarks(part: MetaspaceDecoder): void {
  const { prepend_scheme: scheme, add_prefix_space: adds } = part.config as {
    prepend_scheme?: string;
    add_prefix_space?: boolean;
  };
  const isNever = scheme === undefined ? adds === false : scheme === 'never';
  part.decode_chain = (tokens) =>
    tokens.map((token, i) => token.replaceAll(part.replacement, i === 0 && !isNever ? '' : ' '));
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeRun(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}
