import type { Tokenizer } from '@qdylora/data';

/** Ids that end a text: the model's own and the tokenizer's. */
export const stopIdsOf = (own: readonly number[], tokenizer: Tokenizer | null): number[] => [
  ...new Set([...own, ...(tokenizer?.eosId == null ? [] : [tokenizer.eosId])]),
];

/** U+FFFD at the end may be the first half of a character whose other half is the next token. */
const isWhole = (text: string): boolean => !text.endsWith('\ufffd');

/**
 * Token ids as pieces of text, as soon as they are whole characters; together exactly what decoding all ids
 * at once gives.
 */
export async function* streamText(ids: AsyncIterable<number>, tokenizer: Tokenizer): AsyncGenerator<string> {
  const seen: number[] = [];
  let told = '';
  for await (const id of ids) {
    seen.push(id);
    const text = tokenizer.decode(seen, { skipSpecialTokens: true });
    if (!isWhole(text) || text.length <= told.length || !text.startsWith(told)) continue;
    yield text.slice(told.length);
    told = text;
  }
  const text = tokenizer.decode(seen, { skipSpecialTokens: true });
  if (text.startsWith(told) && text.length > told.length) yield text.slice(told.length);
}
