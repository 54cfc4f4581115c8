import { assertArgument } from '@qdylora/contract';

/**
 * Packs sequences by first-fit decreasing: the longest sequence first, each into the first pack with enough
 * room.
 * `lengths: [sequences]` in tokens → packs of sequence indices; every index is in exactly one pack. O(n log
 * n), with a tree of free room. Needs at most 11/9 of the minimal number of packs, plus 6/9 (Dósa 2007).
 *
 * @throws QdyloraError BAD_ARGUMENT for a sequence that is empty or longer than a pack.
 * @example
 * packSequences([3, 6, 5, 4], 10); // [[1, 3], [2, 0]]
 */
export function packSequences(lengths: ArrayLike<number>, capacity: number): number[][] {
  const order = Array.from({ length: lengths.length }, (_, i) => i).sort(
    (a, b) => lengths[b] - lengths[a] || a - b,
  );
  const room = freeRoom(lengths.length, capacity);
  const packs: number[][] = [];
  for (const index of order) {
    const length = lengths[index];
    assertArgument(
      length >= 1 && length <= capacity,
      'pack-sequences',
      `Sequence ${index} must have 1…${capacity} tokens (got ${length})`,
      'Cut it, or raise maxSeqLength.',
    );
    const pack = room.take(length);
    (packs[pack] ??= []).push(index);
  }
  return packs;
}

/**
 * A binary tree over `packs` packs of `capacity` tokens. Each node has the largest free room of the packs
 * below it.
 */
function freeRoom(packs: number, capacity: number): { take(length: number): number } {
  let leaves = 1;
  while (leaves < packs) leaves *= 2;
  const most = new Float64Array(2 * leaves).fill(capacity);
  return {
    /** Reserves `length` tokens in the first pack with enough room, and returns its index. */
    take(length) {
      let node = 1;
      while (node < leaves) node = most[2 * node] >= length ? 2 * node : 2 * node + 1;
      const pack = node - leaves;
      most[node] -= length;
      for (node >>= 1; node >= 1; node >>= 1) most[node] = Math.max(most[2 * node], most[2 * node + 1]);
      return pack;
    },
  };
}
