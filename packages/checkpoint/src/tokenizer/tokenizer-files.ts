import { isRecord } from '../json/read-json-file.ts';

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

/** A special token is written as text, or as a record with `content`. */
export function tokenContent(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value.content === 'string' ? value.content : null;
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
  let result: { readonly value: T } | undefined;
  return () => (result ??= { value: make() }).value;
}
