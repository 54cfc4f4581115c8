import { existsSync } from 'node:fs';
import { TOKENIZER_LIMITS } from './json/json-limits.ts';
import { isRecord, readJson, readJsonObject, readTextFile } from './json/read-json-file.ts';
import { pathInside } from './path-inside.ts';

/** Content of the tokens with a special meaning; null where the checkpoint names none. */
export interface SpecialTokens { readonly bos: string | null; readonly eos: string | null; readonly pad: string | null }

/** What a tokenizer is made from. Every property is read when first asked for. */
export interface TokenizerFiles {
  /** Content of `tokenizer.json`, or the same shape made from a GGUF file's vocabulary; null where there is none. */
  readonly tokenizerJson: unknown | null;
  readonly tokenizerConfig: Readonly<Record<string, unknown>> | null;
  /** The Jinja template as text; nothing is executed here. */
  readonly chatTemplate: string | null;
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
  return lazyTokenizerFiles({
    tokenizerJson: () => {
      const path = find('tokenizer.json');
      return path === null ? null : readJson(path, 'tokenizer', TOKENIZER_LIMITS);
    },
    tokenizerConfig,
    chatTemplate: () => {
      const path = find('chat_template.jinja');
      return path === null ? chatTemplateOf(tokenizerConfig()?.chat_template) : readTextFile(path, 'tokenizer');
    },
    specialTokens: () => {
      const config = tokenizerConfig() ?? {}, map = optionalRecord('special_tokens_map.json') ?? {};
      const token = (key: string): string | null => tokenContent(config[key]) ?? tokenContent(map[key]);
      return { bos: token('bos_token'), eos: token('eos_token'), pad: token('pad_token') };
    },
  });
}

/** Turns functions into properties that are computed once, when first read. */
export function lazyTokenizerFiles(read: { readonly [K in keyof TokenizerFiles]: () => TokenizerFiles[K] }): TokenizerFiles {
  const tokenizerJson = once(read.tokenizerJson), tokenizerConfig = once(read.tokenizerConfig), chatTemplate = once(read.chatTemplate), specialTokens = once(read.specialTokens);
  return {
    get tokenizerJson() { return tokenizerJson(); },
    get tokenizerConfig() { return tokenizerConfig(); },
    get chatTemplate() { return chatTemplate(); },
    get specialTokens() { return specialTokens(); },
  };
}

/** One template as text, or the one named `default` of a list. */
function chatTemplateOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named = value.filter(isRecord), chosen = named.find((item) => item.name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : null;
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
