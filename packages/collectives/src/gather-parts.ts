import type { Communicator, SentArray } from './communicator.ts';

/**
 * Gives every worker the parts of all, in the order of the workers. Unlike those of `allGather` they may have
 * different lengths.
 *
 * @param part of this worker: [n], possibly empty
 * @example
 * const [first, second] = await gatherParts(world, Int32Array.of(7));
 */
export async function gatherParts<T extends SentArray>(
  world: Pick<Communicator, 'size' | 'allGather'>,
  part: T,
): Promise<T[]> {
  const lengths = new Int32Array(world.size);
  await world.allGather(Int32Array.of(part.length), lengths);
  const longest = Math.max(...lengths);
  const ArrayType = part.constructor as new (length: number) => T;
  const padded = new ArrayType(longest);
  padded.set(part);
  const all = new ArrayType(longest * world.size);
  await world.allGather(padded, all);
  return Array.from(lengths, (length, worker) => {
    const start = worker * longest;
    return all.subarray(start, start + length) as T;
  });
}
