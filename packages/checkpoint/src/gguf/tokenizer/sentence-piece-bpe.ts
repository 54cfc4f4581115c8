import type { ConfigReader } from '../../config/config-reader.ts';
import { specialTokenTemplate } from './special-token-template.ts';
import { readScores } from './read-scores.ts';
import type { AddedToken, GgufVocabulary } from './vocabulary.ts';

const SPACE = '\u2581'; // ▁, SentencePiece's visible space

/**
 * `tokenizer.json` of a SentencePiece vocabulary (`tokenizer.ggml.model = llama`): BPE with byte fallback.
 * SentencePiece joins the pair of neighbours whose joint token has the best score, so every split of a token
 * into two tokens is a merge, ordered by score.
 *
 * @throws QdyloraError BAD_FILE, BAD_CONFIG.
 */
export function sentencePieceBpe(
  path: string,
  metadata: ConfigReader,
  vocabulary: GgufVocabulary,
): Record<string, unknown> {
  const addsBos = metadata.boolean('tokenizer.ggml.add_bos_token', true);
  const addsEos = metadata.boolean('tokenizer.ggml.add_eos_token', false);
  const addsPrefix = metadata.boolean('tokenizer.ggml.add_space_prefix', true);
  const unknown = vocabulary.special('tokenizer.ggml.unknown_token_id');
  const toSpace = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const fromSpace = { type: 'Replace', pattern: { String: SPACE }, content: ' ' };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addsPrefix ? vocabulary.addedTokens : vocabulary.addedTokens.map(matchedInMarkedText),
    normalizer: {
      type: 'Sequence',
      normalizers: [...(addsPrefix ? [{ type: 'Prepend', prepend: SPACE }] : []), toSpace],
    },
    pre_tokenizer: null,
    post_processor: specialTokenTemplate(vocabulary, addsBos, addsEos),
    decoder: {
      type: 'Sequence',
      decoders: [
        fromSpace,
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addsPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: vocabulary.vocab,
      merges: mergesFromScores(vocabulary, readScores(path, metadata, vocabulary)),
    },
  };
}

/**
 * A token with ▁ that the user defined (Gemma's `▁▁`) is matched after spaces are marked, as SentencePiece
 * does it. With a space prefix that is not possible, because the prefix would be added to the token too;
 * merges make it then.
 */
const matchedInMarkedText = (token: AddedToken): AddedToken =>
  !token.special && token.content.includes(SPACE) ? { ...token, normalized: true } : token;

/**
 * Longest token made by a merge: the longest known useful one has 48 characters, and the number of splits
 * grows with length.
 */
const MAX_MERGED_LENGTH = 256;

/**
 * All pairs of tokens whose join is a token but no special one, ordered by its score, best first; equal
 * scores in order of the pair's ids.
 */
function mergesFromScores(
  { tokens, vocab, addedTokens }: Pick<GgufVocabulary, 'tokens' | 'vocab' | 'addedTokens'>,
  scores: readonly number[],
): [string, string][] {
  const special = new Set(addedTokens.filter((token) => token.special).map((token) => token.content));
  const found: { readonly left: number; readonly right: number; readonly score: number }[] = [];
  tokens.forEach((token, id) => {
    if (special.has(token) || token.length > MAX_MERGED_LENGTH) return;
    for (let cut = 1; cut < token.length; cut++) {
      const left = vocab[token.slice(0, cut)];
      const right = vocab[token.slice(cut)];
      if (left !== undefined && right !== undefined) found.push({ left, right, score: scores[id] });
    }
  });
  return found
    .sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right)
    .map(({ left, right }) => [tokens[left], tokens[right]]);
}
