import { QdyloraError } from '@qdylora/contract';
import { stripped, type Tokenizer } from '@qdylora/data';
import type { ScoredTokens } from './token-model.ts';

/** A continuation after its context. */
export interface TokenPair {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

/**
 * The token before a text without context: the beginning of a sequence, else its end.
 *
 * @throws QdyloraError BAD_CONFIG for a tokenizer that has neither
 */
export function prefixToken({ bosId, eosId }: Tokenizer): number {
  const id = bosId ?? eosId;
  if (id !== null) return id;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'tasks',
    problem: 'The tokenizer has no token for the beginning or the end of a text, which tasks need',
    nextStep: 'Add `bos_token` or `eos_token` to tokenizer_config.json.',
  });
}

/** Tokens of a text with the special tokens that the tokenizer adds, unless it begins with one already. */
export function encodeText(tokenizer: Tokenizer, text: string): number[] {
  const opening = tokenizer.decode([prefixToken(tokenizer)]);
  return tokenizer.encode(text, { addSpecialTokens: !text.startsWith(opening) });
}

/**
 * Splits the tokens of context + continuation. White space at the end of the context belongs to the
 * continuation, and the two are encoded together, because tokens may reach over the border.
 */
export function encodePair(tokenizer: Tokenizer, context: string, continuation: string): TokenPair {
  if (context === '') {
    const prefix = prefixToken(tokenizer);
    const ids = tokenizer.encode(continuation, { addSpecialTokens: false });
    return ids[0] === prefix
      ? { context: ids.slice(0, 1), continuation: ids.slice(1) }
      : { context: [prefix], continuation: ids };
  }
  const start = stripped(context, 'rstrip');
  const end = context.slice(start.length) + continuation;
  const contextIds = encodeText(tokenizer, start);
  return { context: contextIds, continuation: encodeText(tokenizer, start + end).slice(contextIds.length) };
}

/** A prompt after the token that begins a text, if there is one, and the first token of an answer. */
export function encodeToken(tokenizer: Tokenizer, context: string, answer: string): TokenPair {
  const { bosId } = tokenizer;
  const ids = tokenizer.encode(context, { addSpecialTokens: false });
  const opening = bosId === null || ids[0] === bosId ? [] : [bosId];
  const continuation = tokenizer.encode(answer, { addSpecialTokens: false }).slice(0, 1);
  return { context: [...opening, ...ids], continuation };
}

/**
 * What the model reads for a pair: at most `maxLength` tokens, cut from the left, and never the last one.
 *
 * @throws QdyloraError BAD_DATA for a continuation that is empty or longer than the model reads
 */
export function scoredTokens({ context, continuation }: TokenPair, maxLength: number): ScoredTokens {
  if (continuation.length === 0 || continuation.length > maxLength || context.length === 0)
    throw new QdyloraError('BAD_DATA', {
      where: 'tasks',
      problem:
        `A continuation must have 1 to ${maxLength} tokens after a context of at least 1 ` +
        `(got ${continuation.length} after ${context.length})`,
      nextStep: 'Correct the task or its rows.',
    });
  const ids = [...context, ...continuation].slice(-(maxLength + 1));
  return { ids: ids.slice(0, -1), targets: continuation };
}

/**
 * Splits the tokens of a text into windows of at most `maxLength`: each token is predicted once. The context
 * of a window is the tokens before it that fit, at least one; that of the first one is `prefix`.
 */
export function rollingWindows(ids: readonly number[], prefix: number, maxLength: number): TokenPair[] {
  const windows: TokenPair[] = [];
  for (let from = 0; from < ids.length; from += maxLength) {
    const end = Math.min(from + maxLength, ids.length);
    const context = from === 0 ? [prefix] : ids.slice(end - maxLength - 1, from);
    windows.push({ context, continuation: ids.slice(from, end) });
  }
  return windows;
}
