import { badArgument } from '@qdylora/contract';

/** Places of consecutive tokens in a pool: [start, start + length). */
export interface TokenRange {
  readonly start: number;
  readonly length: number;
}

/** The free places of a pool, handed out as ranges. */
export interface TokenRanges {
  readonly capacity: number;
  readonly freeTokens: number;
  /** The first free range that is long enough; null if there is none now. */
  reserve(length: number): TokenRange | null;
  /** @throws QdyloraError BAD_ARGUMENT for a range that is not reserved */
  release(range: TokenRange): void;
  /**
   * Releases all places of a range but the first ones, and returns these.
   *
   * @throws QdyloraError BAD_ARGUMENT for a range that is not reserved
   */
  shrink(range: TokenRange, length: number): TokenRange;
}

export function createTokenRanges(capacity: number): TokenRanges {
  const reserved = new Set<TokenRange>();
  let freeTokens = capacity;
  const byStart = (): TokenRange[] => [...reserved].sort((a, b) => a.start - b.start);
  const release = (range: TokenRange): void => {
    if (!reserved.delete(range)) throw badArgument('token-ranges', 'the range must be reserved');
    freeTokens += range.length;
  };
  return {
    capacity,
    get freeTokens() {
      return freeTokens;
    },
    reserve(length) {
      let start = 0;
      for (const range of byStart()) {
        if (range.start - start >= length) break;
        start = range.start + range.length;
      }
      if (start + length > capacity) return null;
      const range: TokenRange = { start, length };
      reserved.add(range);
      freeTokens -= length;
      return range;
    },
    release,
    shrink(range, length) {
      release(range);
      const first: TokenRange = { start: range.start, length };
      reserved.add(first);
      freeTokens -= length;
      return first;
    },
  };
}
