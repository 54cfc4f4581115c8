import type { AttentionConfig } from '../families/family-config.ts';

/** Last tokens that must have occurred before; one token alone is followed by too many others. */
const MATCHED = 2;

/**
 * Drafts how a text goes on, from the text itself (prompt lookup decoding, Saxena 2023): the tokens after the
 * previous occurrence of its last two tokens. Where fewer than `count` follow it, the draft repeats them.
 *
 * @returns `count` ids; none where the last two tokens did not occur before
 */
export function draftOf(ids: readonly number[], count: number): number[] {
  if (count < 1) return [];
  const end = ids.length;
  for (let at = end - 1; at >= MATCHED; at--) {
    if (ids[at - 1] !== ids[end - 1] || ids[at - 2] !== ids[end - 2]) continue;
    const period = end - at;
    return Array.from({ length: count }, (_, i) => ids[at + (i % period)]);
  }
  return [];
}

/**
 * Attention computes each of the last few queries of a sequence as it would be alone, if there are no more
 * than these, and no more than so many heads of them share a key (`native/attention/decode.h` of the CPU
 * kernels).
 */
const ALIKE_QUERIES = 4;
const ALIKE_COLUMNS = 32;

/** Tokens of a sequence that can be computed together with the bits that each gets alone; at least 1. */
export const tokensAlike = (attention: readonly AttentionConfig[]): number =>
  attention.reduce(
    (least, { heads, kvHeads }) =>
      Math.max(1, Math.min(least, Math.floor((ALIKE_COLUMNS * kvHeads) / heads))),
    ALIKE_QUERIES,
  );

/** From so many queries on, attention kernels compute every query alike, in another way than few ones. */
export const MIN_BATCHED_QUERIES = ALIKE_QUERIES + 1;
