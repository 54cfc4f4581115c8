import { existsSync } from 'node:fs';
import { folderTemplates } from './folder-templates.ts';
import { TOKENIZER_LIMITS } from '../json/json-limits.ts';
import { isRecord, readJson, readJsonObject } from '../json/read-json-file.ts';
import { pathInside } from '../path-inside.ts';
import { sentencePieceTokenizer } from '../sentence-piece/sentence-piece-tokenizer.ts';
import { tokenContent } from './token-content.ts';
import { classTokens, vocabularyTokenizer, type TokenizerKind } from './vocabulary-tokenizer.ts';
import { hasToken, withDeclaredTokens } from './with-declared-tokens.ts';

/** Content of the tokens with a special meaning; null where the checkpoint names none. */
export interface SpecialTokens {
  readonly bos: string | null;
  readonly eos: string | null;
  readonly pad: string | null;
}

/** What a tokenizer is made from. Every property is read when first asked for. */
export interface TokenizerFiles {
  /**
   * Content of `tokenizer.json`, or the same shape made from a GGUF file's vocabulary or, where a folder has
   * no other, from SentencePiece's `tokenizer.model`; null where there is none.
   */
  readonly tokenizerJson: unknown | null;
  readonly tokenizerConfig: Readonly<Record<string, unknown>> | null;
  /** The Jinja template as text; nothing is executed here. */
  readonly chatTemplate: string | null;
  /** The one named `tool_use` beside it, for conversations with tools; null where one does for all. */
  readonly toolTemplate: string | null;
  readonly specialTokens: SpecialTokens;
}

/** Tokens with a name, in the order in which transformers gives ids to those that have none. */
const NAMED_TOKENS = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/**
 * The tokenizer files of a Hugging Face folder. @throws QdyloraError BAD_FILE, when a damaged file is asked
 * for.
 */
export function folderTokenizerFiles(folder: string, followLinks = false): TokenizerFiles {
  const inside = (name: string): string => pathInside(folder, name, 'tokenizer', followLinks);
  const find = (name: string): string | null => (existsSync(inside(name)) ? inside(name) : null);
  const optionalRecord = (name: string): Record<string, unknown> | null => {
    const path = find(name);
    return path === null ? null : readJsonObject(path, 'tokenizer', TOKENIZER_LIMITS);
  };
  const tokenizerConfig = once(() => optionalRecord('tokenizer_config.json'));
  const map = once(() => optionalRecord('special_tokens_map.json') ?? {});
  const templates = once(() => folderTemplates(inside, () => tokenizerConfig()?.chat_template));
  const kind: TokenizerKind = {
    get tokenizerConfig() {
      return tokenizerConfig() ?? {};
    },
    modelType: () =>
      find('config.json') === null ? undefined : readJsonObject(inside('config.json'), 'config').model_type,
  };
  const ownJson = once((): unknown => {
    const path = find('tokenizer.json');
    const pieces = find('tokenizer.model');
    const vocab = find('vocab.json');
    const merges = find('merges.txt');
    if (path !== null) return readJson(path, 'tokenizer', TOKENIZER_LIMITS);
    if (pieces !== null) return sentencePieceTokenizer(pieces, kind.tokenizerConfig.add_bos_token !== false);
    return vocab !== null && merges !== null
      ? vocabularyTokenizer({
          tokenizerConfig: kind.tokenizerConfig,
          modelType: kind.modelType,
          vocab,
          merges,
        })
      : null;
  });
  const special = once((): Record<string, unknown> => ({
    ...Object.fromEntries(
      Object.entries(classTokens(kind)).filter(([, content]) => hasToken(ownJson(), content)),
    ),
    ...Object.fromEntries(
      Object.entries({ ...kind.tokenizerConfig, ...withoutRead(map(), kind.tokenizerConfig) }).filter(
        ([key]) => key.endsWith('_token'),
      ),
    ),
  }));
  return lazyTokenizerFiles({
    tokenizerJson: () => {
      const json = ownJson();
      if (json === null) return null;
      const { named, additional } = declaredSpecial(special(), kind.tokenizerConfig, map());
      return withDeclaredTokens(json, {
        byId: kind.tokenizerConfig.added_tokens_decoder,
        byContent: optionalRecord('added_tokens.json'),
        named,
        additional,
      });
    },
    tokenizerConfig,
    chatTemplate: () => templates().default,
    toolTemplate: () => templates().tool_use,
    specialTokens: () => {
      const token = (key: string): string | null => tokenContent(special()[key]);
      return { bos: token('bos_token'), eos: token('eos_token'), pad: token('pad_token') };
    },
  });
}

/** What a map of special tokens says that the config does not. */
const withoutRead = (
  map: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> =>
  Object.fromEntries(Object.entries(map).filter(([key]) => tokenContent(config[key]) === null));

/**
 * Special tokens with names, the usual ones first, and those without: a record of `extra_special_tokens`
 * names its own.
 */
function declaredSpecial(
  special: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  map: Readonly<Record<string, unknown>>,
): { readonly named: readonly unknown[]; readonly additional: readonly unknown[] } {
  const rest = Object.keys(special).filter((key) => !(NAMED_TOKENS as readonly string[]).includes(key));
  const lists = [
    config.extra_special_tokens,
    config.additional_special_tokens,
    map.extra_special_tokens,
    map.additional_special_tokens,
  ];
  const records = lists.filter(isRecord).flatMap(Object.values);
  return {
    named: [...NAMED_TOKENS, ...rest].map((key) => special[key]),
    additional: [
      ...records,
      ...(lists.find((list): list is unknown[] => Array.isArray(list) && list.length > 0) ?? []),
    ],
  };
}

/** Turns functions into properties that are computed once, when first read. */
export function lazyTokenizerFiles(read: {
  readonly [K in keyof TokenizerFiles]: () => TokenizerFiles[K];
}): TokenizerFiles {
  const tokenizerJson = once(read.tokenizerJson);
  const tokenizerConfig = once(read.tokenizerConfig);
  const chatTemplate = once(read.chatTemplate);
  const toolTemplate = once(read.toolTemplate);
  const specialTokens = once(read.specialTokens);
  return {
    get tokenizerJson() {
      return tokenizerJson();
    },
    get tokenizerConfig() {
      return tokenizerConfig();
    },
    get chatTemplate() {
      return chatTemplate();
    },
    get toolTemplate() {
      return toolTemplate();
    },
    get specialTokens() {
      return specialTokens();
    },
  };
}

/** A function that runs `make` the first time and remembers its result. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
