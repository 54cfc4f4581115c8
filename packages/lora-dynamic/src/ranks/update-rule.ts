import type { ActiveRank } from '@qdylora/tensor';
import type { RankSet } from './rank-set.ts';

/**
 * Which rows of the adapter matrices a step of `train` at rank b changes:
 *
 * | rule           | rows with a gradient         | rows that the optimizer updates |
 * | -------------- | ---------------------------- | ------------------------------- |
 * | `prefix`       | 0 … b−1, all rows of rank b  | 0 … maxRank−1                   |
 * | `newest_block` | s … b−1, the newest rows     | s … b−1                         |
 *
 * s is the next smaller rank of the list, 0 for the smallest. With `prefix` the rows from b on have gradient
 * 0 in such a step: their moments decay, and momentum and weight decay still move them. With `newest_block`
 * all other rows and their moments keep their bits. `trainStep`, with either rule, updates only the rows with
 * a gradient.
 */
export type UpdateRule = 'prefix' | 'newest_block';

/** Every `UpdateRule`, for checks and messages. */
export const UPDATE_RULES: readonly UpdateRule[] = ['prefix', 'newest_block'];

/** First row that gets a gradient in a step at `rank`. */
export const trainFrom = (rule: UpdateRule, ranks: RankSet, rank: number): number =>
  rule === 'newest_block' ? ranks.blockStart(rank) : 0;

/** The ranks of a pass. */
type ActiveRows = Pick<ActiveRank, 'rank' | 'trainFrom'> & {
  readonly parts?: readonly Pick<ActiveRank, 'rank' | 'trainFrom'>[];
};

/** The rows of every adapter matrix that get a gradient in a pass: ascending and disjoint. */
export function trainedRows({
  rank,
  trainFrom: from,
  parts = [{ rank, trainFrom: from }],
}: ActiveRows): (readonly [from: number, to: number])[] {
  return mergedRows(parts.map((part) => [part.trainFrom, part.rank]));
}

/**
 * The rows of every adapter matrix that the optimizer updates after passes at `passRanks`: ascending and
 * disjoint. With `prefix` these are all rows, at any ranks.
 */
export function updatedRows(
  rule: UpdateRule,
  ranks: RankSet,
  passRanks: Iterable<number>,
): (readonly [from: number, to: number])[] {
  if (rule === 'prefix') return [[0, ranks.maxRank]];
  return mergedRows(Array.from(passRanks, (rank) => [ranks.blockStart(rank), rank]));
}

/** The rows of all ranges: ascending and disjoint. */
function mergedRows(ranges: readonly (readonly [from: number, to: number])[]): [from: number, to: number][] {
  const merged: [number, number][] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}
