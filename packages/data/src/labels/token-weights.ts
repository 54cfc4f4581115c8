import { commonPrefix } from '../common-prefix.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { NOT_COUNTED, type Example } from '../token-batch.ts';

/** A token, and whether the loss counts it. */
export interface TokenWeight {
  readonly id: number;
  /** The text of the token; '' if its character ends in a later token. The id without a tokenizer. */
  readonly text: string;
  /** 1 if the loss counts it; 0 for prompts, and for the first token, which has no token before it. */
  readonly weight: 0 | 1;
}

/**
 * Number of tokens that are decoded together, including neighbours that complete a character or a leading
 * space.
 */
const BLOCK = 64;
const BEFORE = 1;
const BEHIND = 4;

/**
 * The text and the weight of every token of an example. The concatenated texts are the decoded example.
 *
 * @example
 * const learned = tokenWeights(example, tokenizer).filter(({ weight }) => weight === 1);
 * learned.map(({ text }) => text).join(''); // the text that the model learns to write
 */
export function tokenWeights({ ids, labels }: Example, tokenizer: Tokenizer | null): TokenWeight[] {
  const weightAt = (t: number): 0 | 1 => (t > 0 && labels[t] !== NOT_COUNTED ? 1 : 0);
  if (!tokenizer) return Array.from(ids, (id, t) => ({ id, text: String(id), weight: weightAt(t) }));
  const tokens: TokenWeight[] = [];
  for (let from = 0; from < ids.length; from += BLOCK) {
    const start = Math.max(0, from - BEFORE);
    const end = Math.min(ids.length, from + BLOCK);
    const whole = tokenizer.decode(ids.subarray(start, Math.min(ids.length, end + BEHIND)));
    const upTo = (t: number): number =>
      t === ids.length ? whole.length : commonPrefix(tokenizer.decode(ids.subarray(start, t)), whole);
    for (let t = from, at = upTo(from); t < end; t++) {
      const next = Math.max(at, upTo(t + 1));
      tokens.push({ id: ids[t], text: whole.slice(at, next), weight: weightAt(t) });
      at = next;
    }
  }
  return tokens;
}
