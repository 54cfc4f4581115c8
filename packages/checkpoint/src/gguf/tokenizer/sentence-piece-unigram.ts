import { QdyloraError } from '@qdylora/contract';
import type { ConfigReader } from '../../config/config-reader.ts';
import { readScores } from './read-scores.ts';
import { specialTokenTemplate } from './special-token-template.ts';
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
  const addsBos = metadata.boolean('tokenizer.ggml.add_bos_token', false);
  const addsEos = metadata.boolean('tokenizer.ggml.add_eos_token', true); // as T5 does
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
    post_processor: specialTokenTemplate(vocabulary, addsBos, addsEos),
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
