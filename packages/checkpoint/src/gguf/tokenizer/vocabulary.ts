import { badFile, printedName } from '../../bad-file.ts';
import type { ConfigReader } from '../../config/config-reader.ts';
import { TOKEN_TYPES } from './token-types.ts';

/** Tokens of Phi-3 that keep the white space after them, as in llama.cpp. */
const PHI3_KEEPS_SPACE: readonly string[] = ['<unk>', '<s>', '<|endoftext|>'];

/** The vocabulary of a GGUF file: `tokens[id]`, and which of them are matched before splitting. */
export interface GgufVocabulary {
  readonly tokens: readonly string[];
  /** Ids by token, as in `tokenizer.json`. */
  readonly vocab: Readonly<Record<string, number>>;
  /** True for a token; several times as fast as a lookup in `vocab`. */
  has(token: string): boolean;
  readonly addedTokens: readonly AddedToken[];
  /** True if unknown characters become the tokens of their bytes. */
  readonly hasByteFallback: boolean;
  /** The token of an id key (`tokenizer.ggml.bos_token_id`); null if the file has none. */
  special(key: string): string | null;
}

/** An added token of `tokenizer.json`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/**
 * Reads the vocabulary. @throws QdyloraError BAD_CONFIG for lists of another type; BAD_FILE for lists of
 * different lengths, duplicate tokens, or ids out of range.
 */
export function readVocabulary(path: string, metadata: ConfigReader, format = 'gguf'): GgufVocabulary {
  const bad = (problem: string) => badFile({ format, path, problem });
  const tokens = metadata.strings('tokenizer.ggml.tokens');
  const types = metadata.raw['tokenizer.ggml.token_type'];
  if (types !== undefined && (!Array.isArray(types) || types.length !== tokens.length))
    throw bad(
      `tokenizer.ggml.token_type must have ${tokens.length} entries (got ` +
        `${Array.isArray(types) ? types.length : 'no list'})`,
    );

  // without prototype: a token may be named __proto__
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>;
  const addedTokens: AddedToken[] = [];
  const isPhi3 = /phi-?3/i.test(metadata.has('general.name') ? metadata.string('general.name') : '');
  const known = new Set<string>();
  tokens.forEach((content, id) => {
    if (known.size === known.add(content).size)
      throw bad(`The token ${printedName(content)} occurs twice, as ${vocab[content]} and ${id}`);
    vocab[content] = id;
    const type: unknown = types?.[id];
    // llama.cpp and transformers match <unk> in a text, SentencePiece does not
    const isSpecial = type === TOKEN_TYPES.control || (type === TOKEN_TYPES.unknown && format === 'gguf');
    if (isSpecial || type === TOKEN_TYPES.userDefined)
      addedTokens.push({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: isPhi3 && !PHI3_KEEPS_SPACE.includes(content),
        normalized: false,
        special: isSpecial,
      });
  });
  const special = (key: string): string | null => {
    if (!metadata.has(key)) return null;
    const id = metadata.integer(key);
    if (id < 0 || id >= tokens.length)
      throw bad(`${key} must be an id from 0 to ${tokens.length - 1} (got ${id})`);
    return tokens[id];
  };
  return {
    tokens,
    vocab,
    addedTokens,
    // SentencePiece has byte tokens if and only if it was trained with byte_fallback
    hasByteFallback: types?.includes(TOKEN_TYPES.byte) ?? false,
    special,
    has: (token) => known.has(token),
  };
}
