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

/** Number of tokens that are decoded together, unless a character goes on behind them. */
const BLOCK = 64;

/**
 * Most tokens by which a block grows at one side. A character has at most four bytes, but tokens can hold the
 * end of one and the beginning of the next.
 */
const REACH = 16;

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
  const decode = (start: number, end: number): string => tokenizer.decode(ids.subarray(start, end));
  for (let from = 0, end: number; from < ids.length; from = end) {
    const start = startBefore(from, decode);
    end = endOfBlock(start, Math.min(ids.length, from + BLOCK), { length: ids.length, decode });
    const whole = decode(start, end);
    const upTo = (t: number): number => (t === end ? whole.length : commonPrefix(decode(start, t), whole));
    for (let t = from, at = upTo(from); t < end; t++) {
      const next = Math.max(at, upTo(t + 1));
      tokens.push({ id: ids[t], text: whole.slice(at, next), weight: weightAt(t) });
      at = next;
    }
  }
  return tokens;
}

type Decode = (start: number, end: number) => string;

/** Begins before `from`, with whole characters, so that the decoder keeps the leading space of a block. */
function startBefore(from: number, decode: Decode): number {
  for (let start = from - 1; start >= Math.max(0, from - REACH); start--)
    if (!decode(start, from).includes('\ufffd')) return start;
  return Math.max(0, from - 1);
}

/** The first end from `least` on at which no character goes on. */
function endOfBlock(
  start: number,
  least: number,
  { length, decode }: { readonly length: number; readonly decode: Decode },
): number {
  for (let end = least; end < Math.min(length, least + REACH); end++)
    if (!decode(start, end).endsWith('\ufffd')) return end;
  return length <= least + REACH ? length : least;
}
