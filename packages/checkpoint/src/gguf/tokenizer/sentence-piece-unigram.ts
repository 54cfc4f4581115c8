import { QdyloraError } from '@qdylora/contract';
import type { ConfigReader } from '../../config/config-reader.ts';
import { readScores } from './read-scores.ts';
import type { GgufVocabulary } from './vocabulary.ts';

const SPACE = '\u2581'; // ▁, SentencePiece's visible space

/**
 * `tokenizer.json` of a Unigram vocabulary (`tokenizer.ggml.model = t5`): of all ways to split a text into
 * tokens, the one with the largest sum of scores.
 *
 * @throws QdyloraError BAD_FILE, BAD_CONFIG; UNSUPPORTED for a vocabulary that maps characters first.
 */
export function sentencePieceUnigram(
  path: string,
  metadata: ConfigReader,
  vocabulary: GgufVocabulary,
): Record<string, unknown> {
  if (metadata.has('tokenizer.ggml.precompiled_charsmap')) {
    throw new QdyloraError('UNSUPPORTED', {
      where: 'gguf',
      problem:
        `${path}: the vocabulary maps characters before it splits text ` +
        '(tokenizer.ggml.precompiled_charsmap), which is not supported.',
      nextStep: 'Use the safetensors folder of the same model, with its tokenizer.json.',
      details: { path },
    });
  }
  const scores = readScores(path, metadata, vocabulary);
  const addsPrefix = metadata.boolean('tokenizer.ggml.add_space_prefix', true);
  const metaspace = {
    type: 'Metaspace',
    replacement: SPACE,
    prepend_scheme: addsPrefix ? 'always' : 'never',
    split: false,
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: vocabulary.addedTokens,
    normalizer: metadata.boolean('tokenizer.ggml.remove_extra_whitespaces', false)
      ? {
          type: 'Sequence',
          normalizers: [replaced(SPACE, ' '), replaced(SPACES_AT_ENDS, ''), replaced(' {2,}', ' ')],
        }
      : null,
    pre_tokenizer: metaspace,
    post_processor: endTemplate(vocabulary, metadata),
    decoder: vocabulary.hasByteFallback
      ? { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, metaspace] }
      : metaspace,
    model: {
      type: 'Unigram',
      unk_id: metadata.has('tokenizer.ggml.unknown_token_id')
        ? metadata.integer('tokenizer.ggml.unknown_token_id')
        : null,
      byte_fallback: vocabulary.hasByteFallback,
      vocab: vocabulary.tokens.map((token, id) => [token, scores[id]]),
    },
  };
}

/** Spaces at both ends of a text. `^` and `$` would also match at line ends. */
const SPACES_AT_ENDS = '(?<![\\s\\S]) +| +(?![\\s\\S])';

const replaced = (pattern: string, content: string): unknown => ({
  type: 'Replace',
  pattern: { Regex: pattern },
  content,
});

/** The post-processor: this kind adds the end token by default. */
function endTemplate({ special, vocab }: GgufVocabulary, metadata: ConfigReader): Record<string, unknown> {
  const bos = metadata.boolean('tokenizer.ggml.add_bos_token', false)
    ? special('tokenizer.ggml.bos_token_id')
    : null;
  const eos = metadata.boolean('tokenizer.ggml.add_eos_token', true)
    ? special('tokenizer.ggml.eos_token_id')
    : null;
  const token = (id: string | null): unknown[] => (id === null ? [] : [{ SpecialToken: { id, type_id: 0 } }]);
  const sequence = (id: 'A' | 'B'): unknown[] => [{ Sequence: { id, type_id: 0 } }];
  return {
    type: 'TemplateProcessing',
    single: [...token(bos), ...sequence('A'), ...token(eos)],
    pair: [...token(bos), ...sequence('A'), ...sequence('B'), ...token(eos)],
    special_tokens: Object.fromEntries(
      [bos, eos].filter((id) => id !== null).map((id) => [id, { id, ids: [vocab[id]], tokens: [id] }]),
    ),
  };
}
