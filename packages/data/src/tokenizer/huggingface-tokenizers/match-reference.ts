import {
  ByteFallbackDecoder,
  ByteLevelPreTokenizer,
  MetaspaceDecoder,
  type Tokenizer,
} from '@huggingface/tokenizers';
import { mergedPattern, type SplitBehavior } from './merged-pattern.ts';
import { partsOf } from './parts-of.ts';

/** What Rust's regular expressions call part of a word, and its punctuation. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\u200c\u200d';
const SPACE = '\\p{White_Space}';
const PUNCTUATION = '[\\p{P}$+<=>^`|~]';

interface PreTokenizer {
  readonly type?: string;
  readonly individual_digits?: boolean;
  readonly split?: boolean;
  readonly replacement?: string;
  readonly pretokenizers?: readonly unknown[];
  readonly behavior?: SplitBehavior;
  readonly pattern?: { readonly Regex?: string; readonly String?: string };
  readonly invert?: boolean;
}

/**
 * Places where @huggingface/tokenizers 0.2.0 gives other tokens or text than the Rust library that models are
 * trained with; found by comparing both on random Unicode and on tokenizers of every kind. Some are put right
 * in the file, before it is built (here), some in what was built from it (`matchParts`).
 *
 * - `Digits` splits at ASCII digits only; Rust at every numeric character (½, ², Ⅷ, ४). Matters to SmolLM and
 *   Falcon.
 * - `Metaspace` never splits; Rust does unless told not to, each piece beginning with its ▁.
 * - `Split` and `Punctuation` know none of the behaviours that merge; `Whitespace` takes ASCII words only,
 *   and it, `WhitespaceSplit` and `BertPreTokenizer` JavaScript's white space.
 */
export function matchPreTokenizer(part: unknown): unknown {
  const config = part as PreTokenizer | null;
  switch (config?.type) {
    case 'Sequence':
      return { ...config, pretokenizers: (config.pretokenizers ?? []).map(matchPreTokenizer) };
    case 'Digits':
      return split(config.individual_digits ? '\\p{N}' : '\\p{N}+', 'Isolated');
    case 'Metaspace':
      return config.split === false
        ? config
        : { type: 'Sequence', pretokenizers: [config, wordsFrom(config.replacement ?? '▁')] };
    case 'Split':
      return isMerging(config.behavior) && !config.invert
        ? onlyMatches(mergedPattern(config.pattern!, config.behavior))
        : config;
    case 'Punctuation':
      return isMerging(config.behavior)
        ? onlyMatches(mergedPattern({ Regex: PUNCTUATION }, config.behavior))
        : split(PUNCTUATION, config.behavior ?? 'Isolated');
    case 'Whitespace':
      return onlyMatches(`[${WORD}]+|[^${WORD}${SPACE}]+`);
    case 'WhitespaceSplit':
      return onlyMatches(`[^${SPACE}]+`);
    case 'BertPreTokenizer':
      return {
        type: 'Sequence',
        pretokenizers: [onlyMatches(`[^${SPACE}]+`), split(PUNCTUATION, 'Isolated')],
      };
    default:
      return part; // the library's own parts agree, or are refused by it
  }
}

const split = (pattern: string, behavior: SplitBehavior): unknown => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior,
  invert: false,
});

/** Pieces are what the pattern matches; the rest goes. */
const onlyMatches = (pattern: string): unknown => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Removed',
  invert: true,
});

const isMerging = (behavior: SplitBehavior | undefined): behavior is SplitBehavior =>
  behavior !== undefined && behavior !== 'Isolated' && behavior !== 'Removed';

/** Pieces that begin with the mark. */
const wordsFrom = (mark: string): unknown => onlyMatches(`${mark}[^${mark}]*|[^${mark}]+`);

/**
 * - `ByteLevel` takes JavaScript's `\s` for white space, which has U+FEFF and lacks U+0085; Rust means
 *   Unicode's White_Space.
 * - `ByteFallback` drops U+FEFF at the start of bytes; and where bytes are not UTF-8, Rust writes one U+FFFD
 *   for each byte of the run.
 * - `Metaspace` drops one mark of the first token; Rust all of them, and none where the pre-tokenizer adds
 *   none.
 */
export function matchParts(library: Tokenizer): void {
  for (const part of partsOf(library.pre_tokenizer)) {
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
  }
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
