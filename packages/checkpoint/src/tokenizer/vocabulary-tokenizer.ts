import { QdyloraError } from '@qdylora/contract';
import { badFile, printedName } from '../bad-file.ts';
import { specialTokenTemplate } from '../gguf/tokenizer/special-token-template.ts';
import { preTokenizerOf } from '../gguf/tokenizer/pre-tokenizers.ts';
import { TOKENIZER_LIMITS } from '../json/json-limits.ts';
import { readJsonObject, readTextFile } from '../json/read-json-file.ts';
import { tokenContent } from './tokenizer-files.ts';

/** How a class of tokenizers splits text, by its GGUF name, and its default special tokens. */
interface TokenizerClass {
  readonly pre: string;
  readonly special: Readonly<Record<string, string>>;
}

const END = '<|endoftext|>';

/**
 * Tokenizer classes of transformers that consist of `vocab.json` and `merges.txt`; each also has a `Fast`
 * variant.
 */
const CLASSES: ReadonlyMap<string, TokenizerClass> = new Map<string, TokenizerClass>([
  ['GPT2Tokenizer', { pre: 'gpt-2', special: { unk_token: END, bos_token: END, eos_token: END } }],
  [
    'GPTNeoXTokenizer',
    { pre: 'olmo', special: { unk_token: END, bos_token: END, eos_token: END, pad_token: '<|padding|>' } },
  ],
  ['Qwen2Tokenizer', { pre: 'qwen2', special: { unk_token: END, eos_token: END, pad_token: END } }],
]);

/** The default class of a model in transformers. */
const CLASS_OF_MODEL: ReadonlyMap<unknown, string> = new Map([
  ['gpt2', 'GPT2Tokenizer'],
  ['gpt_neox', 'GPTNeoXTokenizer'],
  ['qwen2', 'Qwen2Tokenizer'],
  ['qwen3', 'Qwen2Tokenizer'],
]);

/** The parts of a folder that determine its tokenizer class. */
export interface TokenizerKind {
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
  /** Reads `model_type` of `config.json`. */
  readonly modelType: () => unknown;
}

export interface VocabularyFiles extends TokenizerKind {
  /** `vocab.json`: ids by token. */
  readonly vocab: string;
  /** `merges.txt`: two pieces per line. */
  readonly merges: string;
}

/** Default special tokens of a folder's tokenizer class, by their keys in `tokenizer_config.json`. */
export const classTokens = (kind: TokenizerKind): Readonly<Record<string, string>> =>
  classOf(kind).found?.special ?? {};

/**
 * Makes a `tokenizer.json` from `vocab.json` and `merges.txt` of a folder without one, as transformers does.
 *
 * @throws QdyloraError UNSUPPORTED for a class whose way to split text is unknown; MISSING_FILE, BAD_FILE
 */
export function vocabularyTokenizer(files: VocabularyFiles): Record<string, unknown> {
  const { pre, special } = knownClass(files);
  const { normalizer, preTokenizer } = preTokenizerOf(files.vocab, pre);
  const { bos_token: configuredBos, add_bos_token: addsBos } = files.tokenizerConfig;
  const vocab = readJsonObject(files.vocab, 'tokenizer', TOKENIZER_LIMITS) as Record<string, number>;
  const bos = tokenContent(configuredBos) ?? special.bos_token;
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer,
    pre_tokenizer: preTokenizer,
    post_processor: specialTokenTemplate(
      { vocab, special: () => bos ?? null },
      addsBos === true && bos !== undefined && vocab[bos] !== undefined,
    ),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: readMerges(files.merges),
    },
  };
}

function classOf({ tokenizerConfig: { tokenizer_class: tokenizerClass }, modelType }: TokenizerKind): {
  readonly name: string | undefined;
  readonly found: TokenizerClass | undefined;
} {
  const name = typeof tokenizerClass === 'string' ? tokenizerClass : CLASS_OF_MODEL.get(modelType());
  return { name, found: CLASSES.get(name?.replace(/Fast$/, '') ?? '') };
}

function knownClass(files: VocabularyFiles): TokenizerClass {
  const { name, found } = classOf(files);
  if (found) return found;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'tokenizer',
    problem:
      `The tokenizer_class of ${files.vocab} must be one of ${[...CLASSES.keys()].join(', ')} ` +
      `(got ${name === undefined ? 'none' : printedName(name)}).`,
    nextStep:
      'Write a tokenizer.json beside it with transformers: ' +
      'AutoTokenizer.from_pretrained(folder).save_pretrained(folder).',
    details: { vocab: files.vocab, tokenizerClass: name, supported: [...CLASSES.keys()] },
  });
}

/** Reads merges: two pieces separated by a space in each line except the version line. */
function readMerges(path: string): string[][] {
  const lines = readTextFile(path, 'tokenizer', TOKENIZER_LIMITS.bytes)
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  if (lines.at(-1) === '') lines.pop();
  return lines.flatMap((line, i) => {
    if (line.startsWith('#version')) return [];
    const pieces = line.split(' ');
    if (pieces.length !== 2)
      throw badFile({
        format: 'tokenizer',
        path,
        problem: `Line ${i + 1} must be two pieces with a space between them (got ${printedName(line)}).`,
      });
    return [pieces];
  });
}
