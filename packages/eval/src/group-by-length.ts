/**
 * Indices of examples in groups of at most `tokensPerGroup` tokens, the longest first, so that memory is at
 * its peak in the first group and a group's
 * examples are about equally long. An example that is longer than that has a group of its own. lengths:
 * [examples], in tokens
 *
 * @example
 * groupByLength([3, 9, 4], 8); // [[1], [2, 0]]
 */
export function groupByLength(lengths: readonly number[], tokensPerGroup: number): number[][] {
  const order = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const groups: number[][] = [];
  let room = 0;
  for (const index of order) {
    const length = lengths[index]!;
    if (groups.length === 0 || length > room) {
      groups.push([]);
      room = tokensPerGroup;
    }
    groups.at(-1)!.push(index);
    room -= length;
  }
  return groups;
}
