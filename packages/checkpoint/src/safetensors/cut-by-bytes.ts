/**
 * Items in their order, in groups of at most `limit` bytes; an item that alone is larger has a group of its
 * own. There is always one group, if an empty one.
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
