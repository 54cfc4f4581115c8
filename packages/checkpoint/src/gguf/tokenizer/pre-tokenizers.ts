import { QdyloraError } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import { canonicalJson } from '../../write/canonical-json.ts';

/** The parts of `tokenizer.json` that depend on the kind of text splitting. */
export interface PreTokenizer {
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  /** A whole piece that is a token is taken as it is, before any merge. */
  readonly ignoreMerges: boolean;
  /** Begins a text with the begin token where the file says nothing. */
  readonly addsBos: boolean;
}

const byteLevel = (useRegex: boolean): unknown => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex });
const splitThenBytes = (pattern: string): unknown => ({
  type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }, byteLevel(false)],
});

/** Contractions in any case, words, numbers of at most `digits` digits, punctuation, line ends, spaces. */
const wordsAndNumbers = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const GPT2: PreTokenizer = { normalizer: null, preTokenizer: byteLevel(true), ignoreMerges: false, addsBos: false };
const DIGITS: PreTokenizer = {
  ...GPT2, preTokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)] },
};
const LLAMA3: PreTokenizer = { normalizer: null, preTokenizer: splitThenBytes(wordsAndNumbers('{1,3}')), ignoreMerges: true, addsBos: true };
const QWEN2: PreTokenizer = { normalizer: { type: 'NFC' }, preTokenizer: splitThenBytes(wordsAndNumbers('')), ignoreMerges: false, addsBos: false };

/** GPT-NeoX's and OLMo's: composed characters, then GPT-2's splitting. */
const OLMO: PreTokenizer = { ...GPT2, normalizer: { type: 'NFC' } };

/** Falcon's: runs of punctuation, GPT-2's splitting, runs of digits, and those in threes. */
const FALCON: PreTokenizer = {
  ...GPT2, preTokenizer: { type: 'Sequence', pretokenizers: [
    { type: 'Punctuation', behavior: 'Contiguous' }, byteLevel(true), { type: 'Digits', individual_digits: false },
    { type: 'Split', pattern: { Regex: '[0-9][0-9][0-9]' }, behavior: 'Isolated', invert: false },
  ] },
};

/** By the word in `tokenizer.ggml.pre`. */
const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ['gpt-2', GPT2], ['smollm', DIGITS], ['llama-bpe', LLAMA3], ['llama3', LLAMA3], ['llama-v3', LLAMA3], ['qwen2', QWEN2], ['olmo', OLMO], ['falcon', FALCON],
]);

/** The word for a tokenizer's own parts. @throws QdyloraError UNSUPPORTED where llama.cpp has none, or none that is known here. */
export function preTokenizerName(normalizer: unknown, parts: unknown): string {
  const same = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b);
  for (const [name, pre] of PRE_TOKENIZERS) if (same(pre.normalizer, normalizer) && same(pre.preTokenizer, parts)) return name;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf', problem: `expected the text splitting of ${[...PRE_TOKENIZERS.keys()].join(', ')} for a tokenizer in a GGUF file, got ${printedName(JSON.stringify(parts))}`,
    nextStep: 'Write safetensors instead, and convert that with llama.cpp.', details: { normalizer, preTokenizer: parts },
  });
}

/** @throws QdyloraError UNSUPPORTED, listing the kinds that are known. */
export function preTokenizer(path: string, kind: string): PreTokenizer {
  const found = PRE_TOKENIZERS.get(kind);
  if (found) return found;
  const supported = [...PRE_TOKENIZERS.keys()];
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf', problem: `${path}: expected one of ${supported.join(', ')} for tokenizer.ggml.pre, got ${printedName(kind)}`,
    nextStep: 'Put the tokenizer.json of the original model in a safetensors folder and open that.', details: { path, got: kind, supported },
  });
}
