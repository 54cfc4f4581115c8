/** Items in the order of their ids, so that those which begin alike come one after another. */
export const sortByPrefix = <T>(items: readonly T[], idsOf: (item: T) => readonly number[]): T[] =>
  [...items].sort((a, b) => compareIds(idsOf(a), idsOf(b)));

/**
 * Groups sequences that begin alike into batches of at most `tokensPerGroup` tokens. Equal sequences count
 * once and are never divided. A sequence longer than the budget is a batch of its own.
 *
 * @returns indices into `sequences`; each index occurs once
 * @example
 * groupByPrefix([[1, 2], [3], [1, 2], [1]], 3); // [[3, 0, 2], [1]]
 */
export function groupByPrefix(sequences: readonly (readonly number[])[], tokensPerGroup: number): number[][] {
  const groups: number[][] = [];
  let room = 0;
  let before: readonly number[] | null = null;
  for (const index of sortByPrefix([...sequences.keys()], (i) => sequences[i])) {
    const ids = sequences[index];
    const isNew: boolean = before === null || compareIds(before, ids) !== 0;
    if (groups.length === 0 || (isNew && ids.length > room)) {
      groups.push([]);
      room = tokensPerGroup;
    }
    groups.at(-1)!.push(index);
    if (isNew) room -= ids.length;
    before = ids;
  }
  return groups;
}

function compareIds(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; i < most; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
