import type { Tokenizer } from '@qdylora/data';

/** Whether a token is special: a text without special tokens does not show it. */
export const isSpecial = (id: number, tokenizer: Pick<Tokenizer, 'decode'>): boolean =>
  tokenizer.decode([id], { skipSpecialTokens: true }) === '';
