/** Measures which of two ways to do the same work is faster. */
export interface FasterWay<W> {
  /**
   * The way to use now. `isTrial`: not known to be the faster one, so a part of the work is enough to measure
   * it.
   */
  next(): { readonly way: W; readonly other: W; readonly isTrial: boolean };
  took(way: W, bytes: number, milliseconds: number): void;
}

/** Smallest work that is measured, in bytes. */
export const LEAST_BYTES = 2 ** 20;

/**
 * The slower way is tried again after this number of uses, then after twice as many, and so on: a part of a
 * file may be in a cache.
 */
const FIRST_RETRY = 8;

/** Number of rates of which the best counts: other load makes a measurement slower, never faster. */
const RATES_KEPT = 4;

/**
 * Tries both ways, then uses the one that was faster in the last trials. `handicap`: the first way must be
 * this many times as fast, because it has other costs.
 */
export function fasterWay<W>([first, second]: readonly [W, W], handicap = 1): FasterWay<W> {
  const rates = new Map<W, number[]>([
    [first, []],
    [second, []],
  ]);
  const rateOf = (way: W): number => (rates.get(way)!.length === 0 ? Infinity : Math.max(...rates.get(way)!));
  let since = 0;
  let until = FIRST_RETRY;
  return {
    next() {
      const [fast, slow] = rateOf(second) > rateOf(first) / handicap ? [second, first] : [first, second];
      if (since >= until) return { way: slow, other: fast, isTrial: true };
      return { way: fast, other: slow, isTrial: rates.get(fast)!.length === 0 };
    },
    took(way, bytes, milliseconds) {
      if (bytes < LEAST_BYTES) return;
      const lastRates = rates.get(way)!;
      if (lastRates.push(bytes / milliseconds) > RATES_KEPT) lastRates.shift();
      if (rates.get(first)!.length === 0 || rates.get(second)!.length === 0) return;
      if (since < until) {
        since++;
        return;
      }
      since = 0;
      until *= 2;
    },
  };
}
