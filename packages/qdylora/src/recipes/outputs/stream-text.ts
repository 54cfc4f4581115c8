import type { Tokenizer } from '@qdylora/data';
import { closingIds } from '../opening/chosen-template.ts';

/**
 * Ids that end a text: those of the model's files, the end token of the tokenizer, and the special token with
 * which the chat template ends an answer.
 */
export function stopIdsOf(modelIds: readonly number[], tokenizer: Tokenizer | null): number[] {
  if (!tokenizer) return [...new Set(modelIds)];
  const ids = [...modelIds];
  if (tokenizer.eosId !== null) ids.push(tokenizer.eosId);
  const [closingId, ...furtherIds] = closingIds(tokenizer);
  if (closingId !== undefined && furtherIds.length === 0 && isSpecial(closingId, tokenizer))
    ids.push(closingId);
  return [...new Set(ids)];
}

const isSpecial = (id: number, tokenizer: Tokenizer): boolean =>
  tokenizer.decode([id], { skipSpecialTokens: true }) === '';

/** U+FFFD at the end may be the first half of a character whose other half is the next token. */
const isWhole = (text: string): boolean => !text.endsWith('\ufffd');

/**
 * Token ids as pieces of text, each yielded when its characters are complete. Together they equal the
 * decoding of all ids at once.
 */
export async function* streamText(ids: AsyncIterable<number>, tokenizer: Tokenizer): AsyncGenerator<string> {
  const allIds: number[] = [];
  let streamedText = '';
  for await (const id of ids) {
    allIds.push(id);
    const text = tokenizer.decode(allIds, { skipSpecialTokens: true });
    if (!isWhole(text) || text.length <= streamedText.length || !text.startsWith(streamedText)) continue;
    yield text.slice(streamedText.length);
    streamedText = text;
  }
  const text = tokenizer.decode(allIds, { skipSpecialTokens: true });
  if (text.startsWith(streamedText) && text.length > streamedText.length)
    yield text.slice(streamedText.length);
}
