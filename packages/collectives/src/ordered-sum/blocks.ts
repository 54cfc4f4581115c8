/** Terms of a sum, by their numbers: from `from` up to, but not including, `to`. */
export interface TermRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The terms that a worker computes: neighbours, so that it can add most of them itself. Some workers have one
 * term more than others, and none where there are more workers than terms.
 */
export const termsOfWorker = (count: number, rank: number, size: number): TermRange => ({
  from: Math.floor((rank * count) / size),
  to: Math.floor(((rank + 1) * count) / size),
});

/**
 * The largest nodes of the tree of a sum whose terms are all in the range, rising. A node has 2^k terms, and
 * the number of its first one is a multiple of 2^k: [3, 8) is [3, 4) and [4, 8).
 */
export function blocksOf({ from, to }: TermRange): TermRange[] {
  const blocks: TermRange[] = [];
  for (let start = from; start < to;) {
    let length = 1;
    while (start % (2 * length) === 0 && start + 2 * length <= to) length *= 2;
    blocks.push({ from: start, to: start + length });
    start += length;
  }
  return blocks;
}

/** Whether the second block follows the first, and both together are a node of the tree. */
export const areSiblings = (first: TermRange, second: TermRange): boolean => {
  const length = first.to - first.from;
  return first.to === second.from && second.to - second.from === length && first.from % (2 * length) === 0;
};
