import { isRecord } from '../json/is-record.ts';
import { once } from '../once.ts';

/** Texts of the special tokens; null if the checkpoint has none. */
export interface SpecialTokens {
  readonly bos: string | null;
  readonly eos: string | null;
  readonly pad: string | null;
}

/** The files of a tokenizer. Each property is read on first use. */
export interface TokenizerFiles {
  /**
   * Content of `tokenizer.json`, or its equivalent made from a GGUF vocabulary or, in a folder without one,
   * from SentencePiece's `tokenizer.model`; null if there is none.
   */
  readonly tokenizerJson: unknown | null;
  /**
   * Content of `tokenizer_config.json`; null if there is none. `tokenizer_class` is the one in use, not
   * always that of the file: transformers replaces `LlamaTokenizer` for some types of models.
   */
  readonly tokenizerConfig: Readonly<Record<string, unknown>> | null;
  /** Jinja text of the chat template; nothing is executed here. */
  readonly chatTemplate: string | null;
  /** The template named `tool_use`, for conversations with tools; null if one template serves both. */
  readonly toolTemplate: string | null;
  readonly specialTokens: SpecialTokens;
}

/** The text of a special token, which is stored as text or as a record with `content`. */
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
