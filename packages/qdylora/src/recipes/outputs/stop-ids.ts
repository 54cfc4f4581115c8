import type { Tokenizer } from '@qdylora/data';
import { closingIds } from '../opening/chosen-template.ts';
import { isSpecial } from '../text/is-special.ts';

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
