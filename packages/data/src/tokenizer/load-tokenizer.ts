import {
  anyValue,
  assertArgument,
  checkOptions,
  objectWith,
  orNull,
  QdyloraError,
  required,
  shownValue,
  someText,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';
import type { Tokenizer as Library } from '@huggingface/tokenizers';
import { createChatTemplate } from '../template/chat-template.ts';
import { checkTokenizerJson, type TokenizerJson } from './check-tokenizer-json.ts';
import { guardPatterns, unknownPattern } from './guard-patterns.ts';
import { openLibrary } from './huggingface-tokenizers/open-library.ts';
import { specialIds, templateTokens, type SpecialTokens, type Vocabulary } from './special-tokens.ts';
import { withLlamaParts } from './llama-parts.ts';
import { bytesOfTokens } from './token-bytes.ts';
import type { Tokenizer } from './tokenizer.ts';
import { withPrefixSpace } from './with-prefix-space.ts';

/** The contents of a model folder's tokenizer files. */
export interface TokenizerFiles {
  /** Parsed tokenizer.json. */
  readonly tokenizerJson: unknown;
  /** Parsed tokenizer_config.json; null if there is none. */
  readonly tokenizerConfig: Readonly<Record<string, unknown>> | null;
  /**
   * Text of the template, as in chat_template.jinja. Null = none, also if tokenizer_config.json has one: a
   * folder with files of templates, none of them the default, has none in transformers. Omitted = the
   * template of tokenizer_config.json.
   */
  readonly chatTemplate?: string | null;
  /** The template named `tool_use`; null or omitted = the same for all conversations. */
  readonly toolTemplate?: string | null;
  /** Special tokens that override the config, as texts or ids, for example from a GGUF file. */
  readonly specialTokens?: SpecialTokens;
}

const RULES: OptionRules<TokenizerFiles> = {
  tokenizerJson: required(anyValue),
  tokenizerConfig: required(orNull(objectWith())),
  chatTemplate: orNull(someText),
  toolTemplate: orNull(someText),
  specialTokens: objectWith(),
};

/**
 * Creates the tokenizer of a model from the contents of its files. On every text of the golden files, ids and
 * decodings equal those of Hugging Face's library.
 *
 * @throws QdyloraError BAD_FILE for an invalid tokenizer.json; UNSUPPORTED for a kind of tokenizer that would
 * give other tokens here, and for `split_special_tokens`; BAD_CONFIG for special tokens outside the
 * vocabulary; BAD_ARGUMENT for invalid `files`. `encode` and `decode` throw BAD_ARGUMENT for invalid texts,
 * ids and options; `encode` throws BAD_FILE for characters that the vocabulary lacks, if it names no unknown
 * token.
 * @example
 * const checkpoint = await openCheckpoint('models/smollm2');
 * const tokenizer = loadTokenizer(checkpoint.tokenizerFiles);
 * tokenizer.decode(tokenizer.encode('Hello')); // 'Hello'
 */
export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  checkOptions('tokenizer', files, RULES);
  const config = checkedConfig(files.tokenizerConfig ?? {});
  const json = withPrefixSpace(withLlamaParts(checkTokenizerJson(files.tokenizerJson), config), config);
  const library = openLibrary(json, config);
  const texts = library.model!.vocab;
  const vocabulary: Vocabulary = { idOf: (token) => library.token_to_id(token), textOf: (id) => texts[id] };
  const ids = specialIds(files.specialTokens ?? {}, config, vocabulary);
  const source = files.chatTemplate === undefined ? templateOf(config) : files.chatTemplate;

  const plain = plainEncode(library);
  const pattern = unknownPattern(json);
  const guarded = pattern === null ? plain : guardPatterns(plain, pattern);
  const encode: Tokenizer['encode'] = (text, options) => {
    assertArgument(
      typeof text === 'string',
      'encode',
      `The text to encode must be a text (got ${shownValue(text)})`,
      Array.isArray(text) ? 'Encode one text at a time.' : undefined,
    );
    if (typeof options?.addSpecialTokens !== 'boolean')
      checkOptions('encode', options ?? {}, { addSpecialTokens: trueOrFalse });
    return guarded(text, options);
  };
  const decode: Tokenizer['decode'] = (tokens, options = {}) => {
    const { skipSpecialTokens = false } = options;
    if (typeof options.skipSpecialTokens !== 'boolean')
      checkOptions('decode', options, { skipSpecialTokens: trueOrFalse });
    assertArgument(
      typeof tokens === 'object' && Number.isSafeInteger((tokens as ArrayLike<number> | null)?.length),
      'decode',
      `The ids to decode must be an array (got ${shownValue(tokens)})`,
      'One id stands in an array too: [id].',
    );
    const known = Array.from(tokens).filter((id) => texts[id] !== undefined);
    return known.length === 0
      ? ''
      : library.decode(known, {
          skip_special_tokens: skipSpecialTokens,
          clean_up_tokenization_spaces: false,
        });
  };
  const tokenText = createTokenText(encode, decode);
  return {
    ...ids,
    encode,
    decode,
    vocabularySize: texts.length,
    baseVocabularySize: baseSizeOf(json),
    chatTemplate:
      source === null
        ? null
        : createChatTemplate(source, {
            variables: templateTokens(config, ids, vocabulary),
            toolSource: files.toolTemplate,
          }),
    tokenText,
    tokenBytes: bytesOfTokens(library, tokenText),
  };
}

/**
 * transformers 5.24 splits special tokens of a text, also those of the chat template, into ordinary tokens if
 * a config asks for it. Here they are always whole.
 *
 * @throws QdyloraError UNSUPPORTED for `split_special_tokens`
 */
function checkedConfig(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { split_special_tokens: isSplit } = config;
  if (isSplit === undefined || isSplit === null || isSplit === false) return config;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'tokenizer_config.json',
    problem:
      `\`split_special_tokens\` must be false (got ${shownValue(isSplit)}): it would split the special ` +
      'tokens of the chat template into ordinary ones',
    nextStep: 'Set it to false or remove it. A model that was trained with whole special tokens needs them.',
  });
}

/** Encodes valid texts.  @throws QdyloraError BAD_FILE for a token without an id */
const plainEncode =
  (library: Library): Tokenizer['encode'] =>
  (text, { addSpecialTokens = false } = {}) => {
    const { ids, tokens } = library.encode(text, { add_special_tokens: addSpecialTokens });
    assertKnown(ids, tokens);
    return ids;
  };

/** @throws QdyloraError BAD_FILE for a token without an id */
function assertKnown(ids: readonly (number | null | undefined)[], tokens: readonly string[]): void {
  const unknown = ids.findIndex((id) => typeof id !== 'number');
  if (unknown < 0) return;
  throw new QdyloraError('BAD_FILE', {
    where: 'tokenizer.json',
    problem:
      `The vocabulary has no ${JSON.stringify(tokens[unknown].slice(0, 200))}, and no token for unknown ` +
      'characters',
    nextStep:
      'Take tokenizer.json from where the model comes from, or remove these characters from the text.',
  });
}

/** A vocabulary of ids by text, or of texts in the order of their ids (Unigram). */
function baseSizeOf({ model }: TokenizerJson): number {
  const vocabulary = model.vocab as readonly unknown[] | Readonly<Record<string, number>>;
  return Array.isArray(vocabulary)
    ? vocabulary.length
    : Object.values(vocabulary as Readonly<Record<string, number>>).reduce(
        (most, id) => Math.max(most, id),
        -1,
      ) + 1;
}

/** `chat_template` of tokenizer_config.json: a text, or the template named `default` of a list. */
function templateOf(config: Readonly<Record<string, unknown>>): string | null {
  const template = config.chat_template;
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return null;
  const named = template as { name?: unknown; template?: unknown }[];
  const found = named.find(({ name }) => name === 'default')?.template;
  return typeof found === 'string' ? found : null;
}

/** Decodes an id after a letter, because many decoders drop the leading space of a text. */
function createTokenText(encode: Tokenizer['encode'], decode: Tokenizer['decode']): (id: number) => string {
  let letter: { readonly ids: readonly number[]; readonly length: number } | null = null;
  const firstLetter = () => {
    const ids = encode('a').slice(-1);
    return { ids, length: decode(ids).length };
  };
  return (id) => {
    letter ??= firstLetter();
    return decode([...letter.ids, id]).slice(letter.length);
  };
}
