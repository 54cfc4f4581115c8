import { existsSync } from 'node:fs';
import { TOKENIZER_LIMITS } from './json/json-limits.ts';
import { isRecord, readJson, readJsonObject, readTextFile } from './json/read-json-file.ts';
import { pathInside } from './path-inside.ts';
import { sentencePieceTokenizer } from './sentence-piece/sentence-piece-tokenizer.ts';
import { withDeclaredTokens } from './with-declared-tokens.ts';

/** Content of the tokens with a special meaning; null where the checkpoint names none. */
export interface SpecialTokens { readonly bos: string | null; readonly eos: string | null; readonly pad: string | null }

/** What a tokenizer is made from. Every property is read when first asked for. */
export interface TokenizerFiles {
  /** Content of `tokenizer.json`, or the same shape made from a GGUF file's vocabulary or, where a folder has no other, from SentencePiece's `tokenizer.model`; null where there is none. */
  readonly tokenizerJson: unknown | null;
  readonly tokenizerConfig: Readonly<Record<string, unknown>> | null;
  /** The Jinja template as text; nothing is executed here. */
  readonly chatTemplate: string | null;
  /** The one named `tool_use` beside it, for conversations with tools; null where one does for all. */
  readonly toolTemplate: string | null;
  readonly specialTokens: SpecialTokens;
}

/** The tokenizer files of a Hugging Face folder. @throws QdyloraError BAD_FILE, when a damaged file is asked for. */
export function folderTokenizerFiles(folder: string, followLinks = false): TokenizerFiles {
  const find = (name: string): string | null => {
    const path = pathInside(folder, name, 'tokenizer', followLinks);
    return existsSync(path) ? path : null;
  };
  const optionalRecord = (name: string): Record<string, unknown> | null => {
    const path = find(name);
    return path === null ? null : readJsonObject(path, 'tokenizer', TOKENIZER_LIMITS);
  };
  const tokenizerConfig = once(() => optionalRecord('tokenizer_config.json'));
  const templates = once(() => {
    const path = find('chat_template.jinja'), tools = find('additional_chat_templates/tool_use.jinja'), text = (of: string | null): string | null => (of === null ? null : readTextFile(of, 'tokenizer'));
    return path === null ? namedTemplates(tokenizerConfig()?.chat_template) : { default: text(path), tool_use: text(tools) };
  });
  return lazyTokenizerFiles({
    tokenizerJson: () => {
      const path = find('tokenizer.json'), pieces = find('tokenizer.model'), config = tokenizerConfig() ?? {};
      if (path === null && pieces === null) return null;
      const json = path === null ? sentencePieceTokenizer(pieces!, config.add_bos_token !== false) : readJson(path, 'tokenizer', TOKENIZER_LIMITS);
      return withDeclaredTokens(json, config.added_tokens_decoder, optionalRecord('added_tokens.json'));
    },
    tokenizerConfig,
    chatTemplate: () => templates().default,
    toolTemplate: () => templates().tool_use,
    specialTokens: () => {
      const config = tokenizerConfig() ?? {}, map = optionalRecord('special_tokens_map.json') ?? {};
      const token = (key: string): string | null => tokenContent(config[key]) ?? tokenContent(map[key]);
      return { bos: token('bos_token'), eos: token('eos_token'), pad: token('pad_token') };
    },
  });
}

/** Turns functions into properties that are computed once, when first read. */
export function lazyTokenizerFiles(read: { readonly [K in keyof TokenizerFiles]: () => TokenizerFiles[K] }): TokenizerFiles {
  const tokenizerJson = once(read.tokenizerJson), tokenizerConfig = once(read.tokenizerConfig), chatTemplate = once(read.chatTemplate), toolTemplate = once(read.toolTemplate), specialTokens = once(read.specialTokens);
  return {
    get tokenizerJson() { return tokenizerJson(); },
    get tokenizerConfig() { return tokenizerConfig(); },
    get chatTemplate() { return chatTemplate(); },
    get toolTemplate() { return toolTemplate(); },
    get specialTokens() { return specialTokens(); },
  };
}

/** One template as text, or several by name, in a list or a record: without a `default`, transformers takes none of them either. */
function namedTemplates(value: unknown): { readonly default: string | null; readonly tool_use: string | null } {
  const all = typeof value === 'string' ? { default: value } : Array.isArray(value) ? Object.fromEntries(value.filter(isRecord).map(({ name, template }) => [String(name), template])) : isRecord(value) ? value : {};
  const named = (name: string): string | null => (Object.hasOwn(all, name) && typeof all[name] === 'string' ? all[name] : null);
  return { default: named('default'), tool_use: named('tool_use') };
}

/** A special token is written as text, or as a record with `content`. */
function tokenContent(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value.content === 'string' ? value.content : null;
}

/** A function that runs `make` the first time and remembers its result. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
