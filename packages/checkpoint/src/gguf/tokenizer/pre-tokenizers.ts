import { QdyloraError } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import { isRecord } from '../../json/is-record.ts';
import { canonicalJson } from '../../write/canonical-json.ts';

/** The parts of `tokenizer.json` that depend on how text is split. */
export interface PreTokenizer {
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  /** True if a piece that is itself a token is used directly, without merges. */
  readonly ignoreMerges: boolean;
  /** True if a text begins with the begin token by default. */
  readonly addsBos: boolean;
}

const byteLevel = (useRegex: boolean): unknown => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});
const splitThenBytes = (pattern: string): unknown => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
    byteLevel(false),
  ],
});

/** Contractions in any case, words, numbers of at most `digits` digits, punctuation, line ends, spaces. */
const wordsAndNumbers = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}` +
  `| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/**
 * Words that end before a capital after a lower-case letter, numbers of at most `digits` digits, punctuation
 * with line ends and slashes. `contraction`: the suffixes of a word.
 */
const wordsByCase = (digits: string, contraction: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${contraction}` +
  `|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${contraction}` +
  `|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const GPT2: PreTokenizer = {
  normalizer: null,
  preTokenizer: byteLevel(true),
  ignoreMerges: false,
  addsBos: false,
};
const DIGITS: PreTokenizer = {
  ...GPT2,
  preTokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
  },
};
const LLAMA3: PreTokenizer = {
  normalizer: null,
  preTokenizer: splitThenBytes(wordsAndNumbers('{1,3}')),
  ignoreMerges: true,
  addsBos: true,
};
/** OpenAI's cl100k, as in Phi-4: Llama 3's splitting, with merges from the bytes up. */
const CL100K: PreTokenizer = { ...LLAMA3, ignoreMerges: false, addsBos: false };
/** Mistral's Tekken, used since Nemo. */
const TEKKEN: PreTokenizer = {
  normalizer: null,
  preTokenizer: splitThenBytes(wordsByCase('', '')),
  ignoreMerges: true,
  addsBos: true,
};
/** OpenAI's o200k: Phi-4-mini. */
const O200K: PreTokenizer = {
  normalizer: null,
  preTokenizer: splitThenBytes(wordsByCase('{1,3}', "(?i:'s|'t|'re|'ve|'m|'ll|'d)?")),
  ignoreMerges: false,
  addsBos: false,
};

const QWEN2: PreTokenizer = {
  normalizer: { type: 'NFC' },
  preTokenizer: splitThenBytes(wordsAndNumbers('')),
  ignoreMerges: false,
  addsBos: false,
};

/** GPT-NeoX and OLMo: NFC, then GPT-2's splitting. */
const OLMO: PreTokenizer = { ...GPT2, normalizer: { type: 'NFC' } };

/** Falcon: runs of punctuation, GPT-2's splitting, runs of digits, then groups of three digits. */
const FALCON: PreTokenizer = {
  ...GPT2,
  preTokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Punctuation', behavior: 'Contiguous' },
      byteLevel(true),
      { type: 'Digits', individual_digits: false },
      { type: 'Split', pattern: { Regex: '[0-9][0-9][0-9]' }, behavior: 'Isolated', invert: false },
    ],
  },
};

/** DeepSeek Coder: separate patterns for line ends, words, punctuation and Chinese, then digits. */
const DEEPSEEK_CODER: PreTokenizer = {
  ...GPT2,
  preTokenizer: {
    type: 'Sequence',
    pretokenizers: [
      ...['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+'].map((pattern) => ({
        type: 'Split',
        pattern: { Regex: pattern },
        behavior: 'Isolated',
        invert: false,
      })),
      { type: 'Digits', individual_digits: true },
      byteLevel(false),
    ],
  },
};

/** Splittings by the value of `tokenizer.ggml.pre`. Of equal ones, the first is written. */
const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenizer> = new Map([
  ['gpt-2', GPT2],
  ['phi-2', GPT2],
  ['mpt', GPT2],
  ['jais', GPT2],
  ['smollm', DIGITS],
  ['starcoder', DIGITS],
  ['refact', DIGITS],
  ['olmo', OLMO],
  ['falcon', FALCON],
  ['llama-bpe', LLAMA3],
  ['llama3', LLAMA3],
  ['llama-v3', LLAMA3],
  ['falcon3', LLAMA3],
  ['pixtral', LLAMA3],
  ['dbrx', CL100K],
  ['smaug-bpe', CL100K],
  ['qwen2', QWEN2],
  ['deepseek-r1-qwen', QWEN2],
  ['megrez', QWEN2],
  ['tekken', TEKKEN],
  ['gpt-4o', O200K],
  ['llama4', O200K],
  ['deepseek-coder', DEEPSEEK_CODER],
]);

/**
 * Normalizes parts for comparison: removes values that change no ids (offsets), adds omitted defaults, and
 * unwraps sequences of one.
 */
function essential(part: unknown): unknown {
  if (!isRecord(part)) return part ?? null;
  if (part.type === 'Sequence') {
    const inner = (
      Array.isArray(part.pretokenizers)
        ? part.pretokenizers
        : Array.isArray(part.normalizers)
          ? part.normalizers
          : []
    ).map(essential);
    return inner.length === 1 ? inner[0] : { type: 'Sequence', inner };
  }
  const { trim_offsets: _, ...rest } = part;
  return rest.type === 'ByteLevel'
    ? { use_regex: true, ...rest }
    : rest.type === 'Split'
      ? { invert: false, ...rest }
      : rest;
}

/**
 * The value of `tokenizer.ggml.pre` for a tokenizer's parts. @throws QdyloraError UNSUPPORTED if llama.cpp
 * has no value for them, or none that is known here.
 */
export function preTokenizerName(normalizer: unknown, parts: unknown, ignoreMerges: boolean): string {
  const same = (a: unknown, b: unknown): boolean =>
    canonicalJson(essential(a)) === canonicalJson(essential(b));
  const named = [...PRE_TOKENIZERS].filter(
    ([, pre]) => same(pre.normalizer, normalizer) && same(pre.preTokenizer, parts),
  );
  const [name] = named.find(([, pre]) => pre.ignoreMerges === ignoreMerges) ?? [];
  if (name !== undefined) return name;
  if (named.length > 0)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'gguf',
      problem:
        `The tokenizer has ignore_merges ${ignoreMerges}, but llama.cpp uses ${!ignoreMerges} ` +
        `where text is split as ${named.map(([kind]) => kind).join(', ')}.`,
      nextStep: 'Write safetensors instead, and convert that with llama.cpp.',
      details: { ignoreMerges, named: named.map(([kind]) => kind) },
    });
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem:
      'A tokenizer in a GGUF file must split text as one of ' +
      `${[...PRE_TOKENIZERS.keys()].join(', ')} (got ${printedName(JSON.stringify(parts))}).`,
    nextStep: 'Write safetensors instead, and convert that with llama.cpp.',
    details: { normalizer, preTokenizer: parts },
  });
}

/**
 * Values for files without the key (written before spring 2024), for architectures that have always had one
 * tokenizer.
 */
const USUAL_WORDS: Readonly<Record<string, string>> = {
  gpt2: 'gpt-2',
  gptneox: 'olmo',
  falcon: 'falcon',
  qwen2: 'qwen2',
  qwen3: 'qwen2',
};

/**
 * The value for a file without the key. @throws QdyloraError UNSUPPORTED if models of the architecture split
 * text in different ways: a guess would silently give other ids.
 */
export function usualPreTokenizer(path: string, architecture: string): PreTokenizer {
  if (Object.hasOwn(USUAL_WORDS, architecture)) return preTokenizerOf(path, USUAL_WORDS[architecture]);
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem:
      `${path}: tokenizer.ggml.pre is missing. It says how text is split before merges, and ` +
      `${architecture} models have several ways.`,
    nextStep:
      'Convert the original model anew, or put its tokenizer.json in a safetensors folder and open that.',
    details: { path, architecture },
  });
}

/** The splitting of that name. @throws QdyloraError UNSUPPORTED that lists the known ones. */
export function preTokenizerOf(path: string, kind: string): PreTokenizer {
  const found = PRE_TOKENIZERS.get(kind);
  if (found) return found;
  const supported = [...PRE_TOKENIZERS.keys()];
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem:
      `${path}: tokenizer.ggml.pre is ${printedName(kind)}, which is not supported. Supported: ` +
      `${supported.join(', ')}.`,
    nextStep: 'Put the tokenizer.json of the original model in a safetensors folder and open that.',
    details: { path, got: kind, supported },
  });
}
