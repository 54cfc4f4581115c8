import { QdyloraError } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import type { ConfigReader } from '../../config/config-reader.ts';
import { isRecord } from '../../json/is-record.ts';
import { isLlamaClass } from '../../tokenizer/is-llama-class.ts';
import { tokenContent, type SpecialTokens, type TokenizerFiles } from '../../tokenizer/tokenizer-files.ts';
import { TOOL_TEMPLATE, TOOL_TEMPLATE_NAME } from '../tokenizer/gguf-tokenizer.ts';
import { preTokenizerName } from '../tokenizer/pre-tokenizers.ts';
import { TOKEN_TYPES } from '../tokenizer/token-types.ts';
import type { MetadataToWrite } from './metadata-value.ts';
import { tokensAround } from './tokens-around.ts';

type Entries = [string, MetadataToWrite][];

/** What SentencePiece writes in place of a space. */
const MARK = '▁';

interface TokenizerJson {
  readonly model: {
    readonly type?: unknown;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
    readonly byte_fallback?: unknown;
    readonly ignore_merges?: unknown;
    readonly unk_token?: unknown;
  };
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly post_processor?: unknown;
}

/**
 * The GGUF metadata of a tokenizer, or of a model without one. @throws QdyloraError UNSUPPORTED for a kind
 * that llama.cpp does not know.
 */
export function tokenizerMetadata(
  files: TokenizerFiles | null,
  config: ConfigReader,
  vocabularySize: number,
): Entries {
  const json = files?.tokenizerJson ?? null;
  if (files === null || json === null) return [['tokenizer.ggml.model', { text: 'no_vocab' }]];
  if (!isBpe(json)) throw unsupported(`a model of type BPE with a vocabulary and merges`, 'another kind');
  const tokens = tokensOf(json, unknownToken(json, files.tokenizerConfig), vocabularySize);
  return [
    ...(hasByteFallback(json)
      ? sentencePieceEntries(json, tokens, files.tokenizerConfig)
      : byteLevelEntries(json)),
    ['tokenizer.ggml.tokens', { texts: tokens.map(({ text }) => text) }],
    ['tokenizer.ggml.token_type', { i32s: tokens.map(({ kind }) => kind) }],
    ...specialEntries(json, files.specialTokens, { config, tokens }),
    ...templateEntries(files),
  ];
}

/**
 * The ids of special tokens, and which of them are added to a text. @throws QdyloraError UNSUPPORTED for
 * other tokens around it
 */
function specialEntries(
  { post_processor: processor }: TokenizerJson,
  special: SpecialTokens,
  { config, tokens }: { readonly config: ConfigReader; readonly tokens: readonly Token[] },
): Entries {
  const around = tokensAround(processor);
  if (around === null) throw unsupportedAround('another kind');
  const idOf = new Map<unknown, number>(tokens.map(({ text }, id) => [text, id]));
  const idEntry = (key: string, id: number | undefined): Entries =>
    id === undefined ? [] : [[`tokenizer.ggml.${key}_token_id`, { u32: id }]];
  const configured = (name: keyof SpecialTokens): number | undefined => {
    const id = config.raw[`${name}_token_id`];
    return typeof id === 'number' && tokens[id] !== undefined ? id : undefined; // -1 means none
  };
  const addedEntries = (key: 'bos' | 'eos', added: readonly string[]): Entries => {
    const addedId = idOf.get(added[0]);
    const id = idOf.get(special[key]) ?? addedId ?? configured(key);
    if (added.length > 1 || (added.length === 1 && (id === undefined || addedId !== id)))
      throw unsupportedAround(printedName(added.join(' ')));
    return [...idEntry(key, id), [`tokenizer.ggml.add_${key}_token`, { bool: added.length > 0 }]];
  };
  return [
    ...addedEntries('bos', around.begin),
    ...addedEntries('eos', around.end),
    ...idEntry('padding', idOf.get(special.pad) ?? configured('pad')),
  ];
}

const unsupportedAround = (got: string): QdyloraError =>
  unsupported(
    'a post-processor that adds at most the begin token in front of a text and the end token behind it',
    got,
  );

/** Templates other than the default have names. */
const templateEntries = ({ chatTemplate, toolTemplate }: TokenizerFiles): Entries => [
  ...(chatTemplate === null ? [] : ([['tokenizer.chat_template', { text: chatTemplate }]] as Entries)),
  ...(toolTemplate === null
    ? []
    : ([
        ['tokenizer.chat_templates', { texts: [TOOL_TEMPLATE_NAME] }],
        [TOOL_TEMPLATE, { text: toolTemplate }],
      ] as Entries)),
];

const isBpe = (json: unknown): json is TokenizerJson =>
  isRecord(json) &&
  isRecord(json.model) &&
  (json.model.type === undefined || json.model.type === 'BPE') &&
  isRecord(json.model.vocab) &&
  Array.isArray(json.model.merges);

/** A kind in the style of SentencePiece. */
const hasByteFallback = ({ model }: TokenizerJson): boolean => model.byte_fallback === true;

/** The token of unknown characters. Byte-level kinds have none: their config may name an end token as it. */
const unknownToken = (json: TokenizerJson, config: Readonly<Record<string, unknown>> | null): string | null =>
  tokenContent(json.model.unk_token) ?? (hasByteFallback(json) ? tokenContent(config?.unk_token) : null);

/** Added tokens that are control tokens, whether marked as special or not, as in llama.cpp's converter. */
const LOOKS_SPECIAL = /^(<\|.*\|>|<｜.*｜>|<unused.*>|<pad>|<mask>|<2mass>|\[@BOS@\])$/s;

interface Token {
  readonly text: string;
  readonly kind: number;
}

/** Tokens by id. Rows of the embedding without a token get generated names, as in llama.cpp's converter. */
function tokensOf(json: TokenizerJson, unknown: string | null, vocabularySize: number): Token[] {
  const { model, added_tokens: added = [] } = json;
  const tokens: Token[] = Array.from({ length: vocabularySize }, (_, id) => ({
    text: `[PAD${id}]`,
    kind: TOKEN_TYPES.unused,
  }));
  const put = (id: number, token: Token): void => {
    if (!(id < vocabularySize))
      throw unsupported(
        `at most ${vocabularySize} tokens, as many as the model has embeddings`,
        `the id ${id}`,
      );
    tokens[id] = token;
  };
  for (const [text, id] of Object.entries(model.vocab))
    put(id, {
      text,
      kind:
        hasByteFallback(json) && /^<0x[0-9A-F]{2}>$/.test(text)
          ? TOKEN_TYPES.byte
          : text === unknown
            ? TOKEN_TYPES.unknown
            : TOKEN_TYPES.normal,
    });
  for (const { id, content, special = false } of added)
    // one without a row of the embedding is left out
    if (id < vocabularySize && tokens[id].kind !== TOKEN_TYPES.unknown)
      put(
        id,
        special || LOOKS_SPECIAL.test(content)
          ? { text: content, kind: TOKEN_TYPES.control }
          : // llama.cpp matches these before it marks spaces, and its converter writes them so
            { text: content.replaceAll(MARK, ' '), kind: TOKEN_TYPES.userDefined },
      );
  return tokens;
}

const pairOf = (merge: string | readonly [string, string]): readonly [string, string] => {
  if (typeof merge !== 'string') return merge;
  const space = merge.indexOf(' ', 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
};

function byteLevelEntries(json: TokenizerJson): Entries {
  return [
    ['tokenizer.ggml.model', { text: 'gpt2' }],
    [
      'tokenizer.ggml.pre',
      {
        text: preTokenizerName(
          json.normalizer ?? null,
          json.pre_tokenizer ?? null,
          json.model.ignore_merges === true,
        ),
      },
    ],
    ['tokenizer.ggml.merges', { texts: json.model.merges.map((merge) => pairOf(merge).join(' ')) }],
  ];
}

/**
 * Scores of tokens. llama.cpp joins the pair of neighbours with the best score, so a score is the negative
 * rank of the merge.
 */
function sentencePieceEntries(
  json: TokenizerJson,
  tokens: readonly Token[],
  config: Readonly<Record<string, unknown>> | null,
): Entries {
  assertMarksOnly(json.normalizer);
  const rankOf = new Map<string, number>();
  json.model.merges.forEach((merge, rank) => {
    const joint = pairOf(merge).join('');
    if (!rankOf.has(joint)) rankOf.set(joint, rank);
  });
  const unknownText = unknownToken(json, config);
  const unknown = tokens.findIndex(({ text }) => text === unknownText);
  return [
    ['tokenizer.ggml.model', { text: 'llama' }],
    ['tokenizer.ggml.pre', { text: 'default' }],
    [
      'tokenizer.ggml.scores',
      {
        f32s: tokens.map(({ text, kind }) =>
          kind === TOKEN_TYPES.normal ? -(rankOf.get(text) ?? json.model.merges.length) : 0,
        ),
      },
    ],
    ['tokenizer.ggml.add_space_prefix', { bool: marksFirstWord(json, config) }],
    ...(unknown >= 0
      ? [['tokenizer.ggml.unknown_token_id', { u32: unknown }] as [string, MetadataToWrite]]
      : []),
  ];
}

interface Part {
  readonly type?: unknown;
  readonly prepend_scheme?: unknown;
  readonly add_prefix_space?: unknown;
  readonly prepend?: unknown;
  readonly pattern?: { readonly String?: unknown };
  readonly content?: unknown;
}

/** The parts of a normalizer or a pre-tokenizer, which may be a sequence. */
function partsOf(part: unknown): readonly Part[] {
  if (!isRecord(part)) return [];
  const inner = part.normalizers ?? part.pretokenizers;
  return Array.isArray(inner) ? inner.flatMap(partsOf) : [part];
}

/** Spaces become marks; llama.cpp knows no other change of a text. @throws QdyloraError UNSUPPORTED */
function assertMarksOnly(normalizer: unknown): void {
  const isMark = ({ type, prepend, pattern, content }: Part): boolean =>
    (type === 'Prepend' && prepend === MARK) ||
    (type === 'Replace' && pattern?.String === ' ' && content === MARK);
  const other = partsOf(normalizer).find((part) => !isMark(part));
  if (other) throw unsupported('a normalizer that only marks spaces with ▁', JSON.stringify(other));
}

/**
 * True if the first word of a text gets a mark, as at the beginning of other words. For a tokenizer of the
 * class Llama only `add_prefix_space` of its config decides, as in transformers.
 */
function marksFirstWord(json: TokenizerJson, config: Readonly<Record<string, unknown>> | null): boolean {
  if (isLlamaClass(config)) return config?.add_prefix_space !== false;
  return (
    partsOf(json.normalizer).some(({ type }) => type === 'Prepend') ||
    partsOf(json.pre_tokenizer).some(
      ({ type, prepend_scheme: scheme = 'always', add_prefix_space: adds = true }) =>
        type === 'Metaspace' && scheme !== 'never' && adds === true,
    )
  );
}

const unsupported = (expected: string, got: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `A tokenizer in a GGUF file must have ${expected} (got ${got}).`,
    nextStep: 'Write safetensors instead, and convert that with llama.cpp.',
  });
