/**
 * Groups examples into batches of at most `tokensPerGroup` tokens, the longest first.
 *
 * Peak memory is thus reached in the first batch, and the examples of a batch have about the same length. An
 * example longer than the budget is a batch of its own.
 *
 * @param lengths tokens of each example: [examples]
 * @returns indices into `lengths`; each index occurs once
 * @example
 * groupByTokenBudget([3, 9, 4], 8); // [[1], [2, 0]]
 */
export function groupByTokenBudget(lengths: readonly number[], tokensPerGroup: number): number[][] {
  const longestFirst = [...lengths.keys()].sort((a, b) => lengths[b] - lengths[a] || a - b);
  const groups: number[][] = [];
  let room = 0;
  for (const index of longestFirst) {
    const length = lengths[index];
    if (groups.length === 0 || length > room) {
      groups.push([]);
      room = tokensPerGroup;
    }
    groups.at(-1)!.push(index);
    room -= length;
  }
  return groups;
}
