import { QdyloraError } from '@qdylora/contract';

/** The ranks of one adapter, ascending. The adapter of each rank is a prefix of that of the next. */
export interface RankSet extends Iterable<number> {
  readonly ranks: readonly number[];
  readonly maxRank: number;
  has(rank: number): boolean;
  /** First row of the block that `rank` adds: the next smaller listed rank, 0 for the smallest. */
  blockStart(rank: number): number;
  /** Throws BAD_ARGUMENT unless 1 ≤ rank ≤ maxRank. Ranks between listed ones are usable too. */
  assertUsable(rank: number): void;
}

/** Largest accepted rank: a bound on input, far beyond useful ranks. */
export const LARGEST_RANK = 4096;

/**
 * Checks and sorts a list of ranks.
 *
 * @throws QdyloraError BAD_ARGUMENT for an empty list, a repeated rank, or one that is not a whole number
 * within 1…4096
 * @example
 * rankSet([8, 1, 4, 2]).ranks; // [1, 2, 4, 8]
 */
export function rankSet(ranks: Iterable<number>): RankSet {
  const sorted = [...ranks].sort((a, b) => a - b);
  if (sorted.length === 0) throw badRank('the list of ranks is empty');
  for (const [i, rank] of sorted.entries()) {
    if (!Number.isInteger(rank) || rank < 1 || rank > LARGEST_RANK)
      throw badRank(`a rank must be a whole number within 1…${LARGEST_RANK} (got ${String(rank)})`);
    if (rank === sorted[i - 1]) throw badRank(`the rank ${rank} is listed twice`);
  }
  const maxRank = sorted.at(-1)!;
  return {
    ranks: sorted,
    maxRank,
    has: (rank) => sorted.includes(rank),
    blockStart: (rank) => sorted.filter((smaller) => smaller < rank).at(-1) ?? 0,
    assertUsable: (rank) => {
      if (!Number.isInteger(rank) || rank < 1 || rank > maxRank)
        throw new QdyloraError('BAD_ARGUMENT', {
          where: 'rank',
          problem: `the rank must be a whole number within 1…${maxRank} (got ${String(rank)})`,
          nextStep: `The ranks of the adapter are ${sorted.join(', ')}.`,
        });
    },
    [Symbol.iterator]: () => sorted[Symbol.iterator](),
  };
}

/** 1, 2, 4 … up to and including `maxRank`. */
export function powersOfTwoUpTo(maxRank: number): RankSet {
  const ranks: number[] = [];
  for (let rank = 1; rank < maxRank; rank *= 2) ranks.push(rank);
  return rankSet([...ranks, maxRank]);
}

const badRank = (problem: string): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', {
    where: 'ranks',
    problem,
    nextStep: 'Example: ranks: [1, 2, 4, 8].',
  });
