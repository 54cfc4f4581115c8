import { ByteFallbackDecoder, ByteLevelPreTokenizer, type Tokenizer } from '@huggingface/tokenizers';
import { partsOf } from './parts-of.ts';

/**
 * Four places where @huggingface/tokenizers 0.2.0 gives other tokens or text than the Rust library that models are trained with; found by comparing both on
 * random Unicode. Two are put right in the file, before it is built (here), two in what was built from it (`matchParts`).
 *
 * - `Digits` splits at ASCII digits only; Rust at every numeric character (½, ², Ⅷ, ४). Matters to SmolLM and Falcon.
 * - `Metaspace` never splits; Rust does unless told not to, each piece beginning with its ▁.
 */
export function matchPreTokenizer(part: unknown): unknown {
  const config = part as { type?: string; individual_digits?: boolean; split?: boolean; replacement?: string; pretokenizers?: unknown[] } | null;
  switch (config?.type) {
    case 'Sequence': return { ...config, pretokenizers: (config.pretokenizers ?? []).map(matchPreTokenizer) };
    case 'Digits': return { type: 'Split', pattern: { Regex: config.individual_digits ? '\\p{N}' : '\\p{N}+' }, behavior: 'Isolated', invert: false };
    case 'Metaspace': return config.split === false ? config : { type: 'Sequence', pretokenizers: [config, wordsFrom(config.replacement ?? '▁')] };
    default: return part; // the library's own parts agree, or are refused by it
  }
}

/** Pieces that begin with the mark; `invert` keeps what the pattern matches. */
const wordsFrom = (mark: string): unknown => ({ type: 'Split', pattern: { Regex: `${mark}[^${mark}]*|[^${mark}]+` }, behavior: 'Removed', invert: true });

/**
 * - `ByteLevel` takes JavaScript's `\s` for white space, which has U+FEFF and lacks U+0085; Rust means Unicode's White_Space.
 * - `ByteFallback` drops U+FEFF at the start of bytes; and where bytes are not UTF-8, Rust writes one U+FFFD for each byte of the run.
 */
export function matchParts(library: Tokenizer): void {
  for (const part of partsOf(library.pre_tokenizer)) {
    if (part instanceof ByteLevelPreTokenizer) part.pattern = new RegExp(part.pattern.source.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}'), 'gu');
  }
  for (const part of partsOf(library.decoder)) {
    if (part instanceof ByteFallbackDecoder) part.text_decoder = { decode: decodeRun } as unknown as ByteFallbackDecoder['text_decoder'];
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeRun(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}
