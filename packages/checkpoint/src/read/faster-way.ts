/** Which of two ways to do the same was the faster, as far as it was tried. */
export interface FasterWay<W> {
  /**
   * The way to take now. On trial where it is not known to be the faster one: a part of the work shows as
   * much.
   */
  next(): { readonly way: W; readonly other: W; readonly isTrial: boolean };
  took(way: W, bytes: number, milliseconds: number): void;
}

/** What takes no time to speak of says nothing. */
export const LEAST_BYTES = 2 ** 20;

/**
 * After so many the slower way is tried once more, then after twice as many, and so on: part of a file may
 * lie in a cache.
 */
const FIRST_RETRY = 8;

/** A rate is the best of so many: what else the machine does makes any single one slower, and none faster. */
const RATES_KEPT = 4;

/**
 * Tries both, the first one first, then takes what was faster the last few times that it was tried.
 * `handicap`: the first must be so many times as fast, since it costs something else.
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
