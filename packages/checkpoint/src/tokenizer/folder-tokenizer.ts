import { existsSync } from 'node:fs';
import { TOKENIZER_LIMITS } from '../json/json-limits.ts';
import { readJson, readJsonObject } from '../json/read-json-file.ts';
import { isRecord } from '../json/is-record.ts';
import { pathInside } from '../path-inside.ts';
import { sentencePieceTokenizer } from '../sentence-piece/sentence-piece-tokenizer.ts';
import { folderTemplates } from './folder-templates.ts';
import { isLlamaClass } from './is-llama-class.ts';
import { lazyTokenizerFiles, tokenContent, type TokenizerFiles } from './tokenizer-files.ts';
import { once } from '../once.ts';
import { classTokens, vocabularyTokenizer, type TokenizerKind } from './vocabulary-tokenizer.ts';
import { hasToken, withDeclaredTokens } from './with-declared-tokens.ts';

/** Named special tokens, in the order in which transformers assigns missing ids. */
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
 * The tokenizer files of a Hugging Face folder. @throws QdyloraError BAD_FILE when a damaged file is read.
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
  const storedJson = once(() => storedTokenizer(find, kind));
  const special = once(() => specialTokens(kind, map(), storedJson()));
  return lazyTokenizerFiles({
    tokenizerJson: () => {
      if (storedJson() === null) return null;
      const { named, additional } = declaredSpecial(special(), kind.tokenizerConfig, map());
      return withDeclaredTokens(storedJson(), {
        byId: kind.tokenizerConfig.added_tokens_decoder,
        byContent: optionalRecord('added_tokens.json'),
        named,
        additional,
      });
    },
    tokenizerConfig: () => withUsedClass(tokenizerConfig(), kind),
    chatTemplate: () => templates().default,
    toolTemplate: () => templates().tool_use,
    specialTokens: () => {
      const token = (key: string): string | null => tokenContent(special()[key]);
      return { bos: token('bos_token'), eos: token('eos_token'), pad: token('pad_token') };
    },
  });
}

/**
 * Types of models for which transformers 5.24 does not use the `LlamaTokenizer` that many of their folders
 * name → the class that it uses.
 */
const USED_CLASSES: ReadonlyMap<unknown, string> = new Map([
  ['mistral', 'PreTrainedTokenizerFast'],
  ['phi3', 'PreTrainedTokenizerFast'],
  ['qwen2', 'Qwen2Tokenizer'],
]);

/** The config, with the class that transformers uses in place of the one that the file names. */
const withUsedClass = (
  config: Readonly<Record<string, unknown>> | null,
  { modelType }: TokenizerKind,
): Readonly<Record<string, unknown>> | null => {
  if (!isLlamaClass(config)) return config;
  const usedClass = USED_CLASSES.get(modelType());
  return usedClass === undefined ? config : { ...config, tokenizer_class: usedClass };
};

/** `tokenizer.json`, or its equivalent made from SentencePiece's model or from a vocabulary and merges. */
function storedTokenizer(find: (name: string) => string | null, kind: TokenizerKind): unknown {
  const json = find('tokenizer.json');
  if (json !== null) return readJson(json, 'tokenizer', TOKENIZER_LIMITS);
  const { tokenizerConfig, modelType } = kind;
  const pieces = find('tokenizer.model');
  if (pieces !== null) return sentencePieceTokenizer(pieces, tokenizerConfig);
  const vocab = find('vocab.json');
  const merges = find('merges.txt');
  if (vocab === null || merges === null) return null;
  return vocabularyTokenizer({ tokenizerConfig, modelType, vocab, merges });
}

/** Special tokens by key (`bos_token`): those of the tokenizer's class, overridden by those of the files. */
const specialTokens = (
  kind: TokenizerKind,
  map: Readonly<Record<string, unknown>>,
  tokenizerJson: unknown,
): Record<string, unknown> => ({
  ...Object.fromEntries(
    Object.entries(classTokens(kind)).filter(([, content]) => hasToken(tokenizerJson, content)),
  ),
  ...Object.fromEntries(
    Object.entries({ ...kind.tokenizerConfig, ...missingFrom(map, kind.tokenizerConfig) }).filter(([key]) =>
      key.endsWith('_token'),
    ),
  ),
});

/** The entries of a special-tokens map that the config does not have. */
const missingFrom = (
  map: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> =>
  Object.fromEntries(Object.entries(map).filter(([key]) => tokenContent(config[key]) === null));

/** Special tokens: named ones first, then unnamed ones. A record in `extra_special_tokens` names its own. */
function declaredSpecial(
  special: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
  map: Readonly<Record<string, unknown>>,
): { readonly named: readonly unknown[]; readonly additional: readonly unknown[] } {
  const otherKeys = Object.keys(special).filter((key) => !(NAMED_TOKENS as readonly string[]).includes(key));
  const lists = [
    config.extra_special_tokens,
    config.additional_special_tokens,
    map.extra_special_tokens,
    map.additional_special_tokens,
  ];
  const records = lists.filter(isRecord).flatMap(Object.values);
  return {
    named: [...NAMED_TOKENS, ...otherKeys].map((key) => special[key]),
    additional: [
      ...records,
      ...(lists.find((list): list is unknown[] => Array.isArray(list) && list.length > 0) ?? []),
    ],
  };
}
