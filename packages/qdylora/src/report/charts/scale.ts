/** Maps a value to a place in a drawing. */
export type Scale = (value: number) => number;

export type Interval = readonly [from: number, to: number];

/** The straight line through both ends; the middle of `range` where `domain` is one point. */
export function linearScale([from, to]: Interval, [start, end]: Interval): Scale {
  return (value) =>
    to === from ? (start + end) / 2 : start + ((value - from) / (to - from)) * (end - start);
}

/**
 * Round values (1, 2 or 5 times a power of ten) within an interval, about `count` of them, and the decimals
 * that tell them apart.
 */
export function niceTicks(
  [from, to]: Interval,
  count: number,
): { readonly ticks: readonly number[]; readonly decimals: number } {
  if (!(to > from)) return { ticks: [from], decimals: Number.isInteger(from) ? 0 : 3 };
  const rough = (to - from) / Math.max(1, count);
  const power = Math.floor(Math.log10(rough));
  const lead = rough / 10 ** power;
  const step = (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * 10 ** power;
  const decimals = Math.min(10, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return {
    ticks: Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step),
    decimals,
  };
}

/** `interval` made wider by a share of itself at both ends, and never a point. */
export function widened([from, to]: Interval, share: number): Interval {
  const pad = to > from ? (to - from) * share : Math.abs(from) * share || share;
  return [from - pad, to + pad];
}

/** Smallest and largest of the finite values; null where there are none. */
export function extent(values: Iterable<number>): Interval | null {
  let from = Infinity;
  let to = -Infinity;
  for (const value of values)
    if (Number.isFinite(value)) {
      from = Math.min(from, value);
      to = Math.max(to, value);
    }
  return from <= to ? [from, to] : null;
}
