/**
 * Cuts items, in their order, into groups of at most `limit` bytes; a larger item has its own group. Returns
 * at least one group, which may be empty.
 */
export function cutByBytes<T>(items: Iterable<T>, bytesOf: (item: T) => number, limit: number): T[][] {
  const groups: T[][] = [[]];
  let room = limit;
  for (const item of items) {
    const bytes = bytesOf(item);
    if (bytes > room && groups.at(-1)!.length > 0) {
      groups.push([]);
      room = limit;
    }
    groups.at(-1)!.push(item);
    room -= bytes;
  }
  return groups;
}
