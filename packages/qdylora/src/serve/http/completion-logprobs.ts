import type { Tokenizer } from '@qdylora/data';
import type { TokenChance, TokenScores } from '@qdylora/models';
import type { WrittenToken } from '../../recipes/text/decode-text.ts';
import { countCharacters } from '../../recipes/text/count-characters.ts';
import { createTextDecoder } from '../../recipes/text/text-decoder.ts';

/** Log-probabilities in the form of `/v1/completions`: lists with one entry a token. */
export interface CompletionLogprobs {
  readonly tokens: string[];
  /** Null for the first token of a prompt, which nothing predicts. */
  readonly token_logprobs: (number | null)[];
  /** The most likely tokens, and the token itself if it is none of them. */
  readonly top_logprobs: (Readonly<Record<string, number>> | null)[];
  /** Where the text of each token begins in the returned text, in Unicode characters (code points). */
  readonly text_offset: number[];
}

/** JSON has no infinity; OpenAI writes −9999 for what cannot happen. */
const LEAST_LOGPROB = -9999;
export const finite = (logProbability: number): number =>
  Number.isFinite(logProbability) ? logProbability : LEAST_LOGPROB;

type Decoding = Pick<Tokenizer, 'decode' | 'tokenText'>;

/** @param shift characters before the answer: those of an echoed prompt */
export function logprobsOfTokens(
  tokens: readonly WrittenToken[],
  tokenizer: Decoding,
  shift: number,
): CompletionLogprobs {
  return {
    tokens: tokens.map(({ id }) => tokenizer.tokenText(id)),
    token_logprobs: tokens.map(({ logProbability }) => finite(logProbability!)),
    top_logprobs: tokens.map((token) => byText(withChosenToken(token), tokenizer)),
    text_offset: tokens.map(({ offset }) => offset + shift),
  };
}

const withChosenToken = ({ id, logProbability, top }: WrittenToken): readonly TokenChance[] => [
  ...top,
  { id, logProbability: logProbability! },
];

/** Of several tokens with one text the most likely counts. */
function byText(chances: readonly TokenChance[], tokenizer: Decoding): Record<string, number> {
  const texts = Object.create(null) as Record<string, number>;
  for (const { id, logProbability } of chances) texts[tokenizer.tokenText(id)] ??= finite(logProbability);
  return texts;
}

export interface PromptLogprobsOptions {
  readonly tokenizer: Decoding;
  readonly topCount: number;
  /** Tokens at the beginning of the prompt that are not in the echoed text. */
  readonly hiddenCount: number;
}

/**
 * The log-probabilities of an echoed prompt. The entry of a token among the most likely ones has the same
 * bits as its own: clients compare them to see whether it was the most likely.
 */
export function logprobsOfPrompt(
  ids: readonly number[],
  scores: TokenScores,
  { tokenizer, topCount, hiddenCount }: PromptLogprobsOptions,
): CompletionLogprobs {
  const perToken = scores.topIds.length / ids.length;
  const logProbabilityAt = (i: number): number => scores.logProbabilities[i - 1];
  const topOf = (i: number): TokenChance[] => {
    const top = Array.from({ length: topCount }, (_, k) => {
      const at = (i - 1) * perToken + k;
      const id = scores.topIds[at];
      return { id, logProbability: id === ids[i] ? logProbabilityAt(i) : scores.topLogProbabilities[at] };
    });
    return [...top, { id: ids[i], logProbability: logProbabilityAt(i) }];
  };
  return {
    tokens: ids.map((id) => tokenizer.tokenText(id)),
    token_logprobs: ids.map((_, i) => (i === 0 ? null : finite(logProbabilityAt(i)))),
    top_logprobs: ids.map((_, i) => (i === 0 ? null : byText(topOf(i), tokenizer))),
    text_offset: offsetsOf(ids, tokenizer, hiddenCount),
  };
}

function offsetsOf(ids: readonly number[], tokenizer: Decoding, hiddenCount: number): number[] {
  const decoder = createTextDecoder(tokenizer, [], { skipSpecialTokens: false });
  let length = 0;
  return ids.map((id, i) => {
    if (i < hiddenCount) return 0;
    const { text, begin } = decoder.push(id);
    const offset = length + begin;
    length += countCharacters(text);
    return offset;
  });
}

export const joinedLogprobs = (
  first: CompletionLogprobs,
  second: CompletionLogprobs,
): CompletionLogprobs => ({
  tokens: [...first.tokens, ...second.tokens],
  token_logprobs: [...first.token_logprobs, ...second.token_logprobs],
  top_logprobs: [...first.top_logprobs, ...second.top_logprobs],
  text_offset: [...first.text_offset, ...second.text_offset],
});
