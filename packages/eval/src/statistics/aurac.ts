import { assertArgument, shownValue } from '@qdylora/contract';

const RANK_AXES = ['log2', 'linear'] as const;

/** Over which axis the area is taken: doublings of the rank, or ranks. */
export type RankAxis = (typeof RANK_AXES)[number];

/**
 * Area under the rank curve (AURAC, MatryoshkaLoRA 2026), here of the gain in loss: the mean gain over the
 * range of ranks, by trapezoids between the
 * measured ones, over log2 of the rank or over the rank itself. One rank: its gain. ranks, gains: [ranks],
 * ranks rising
 *
 * @throws QdyloraError BAD_ARGUMENT for another axis, ranks that do not rise, or not one gain for each
 * @example
 * aurac([1, 2, 4], [0, 1, 1], 'log2'); // 0.75
 */
export function aurac(ranks: readonly number[], gains: readonly number[], axis: RankAxis): number {
  assertArgument(
    RANK_AXES.includes(axis),
    'aurac',
    `expected one of ${RANK_AXES.join(', ')} for the axis, got ${shownValue(axis)}`,
  );
  assertArgument(
    ranks.length > 0 && ranks.length === gains.length,
    'aurac',
    `expected one gain for each of at least one rank, got ${gains.length} for ${ranks.length}`,
  );
  assertArgument(
    ranks.every((rank, i) => rank > (ranks[i - 1] ?? 0)),
    'aurac',
    `expected rising ranks > 0, got ${ranks.join(', ')}`,
  );
  if (ranks.length === 1) return gains[0]!;
  const at = ranks.map((rank) => (axis === 'log2' ? Math.log2(rank) : rank));
  let area = 0;
  for (let i = 1; i < at.length; i++) area += ((gains[i]! + gains[i - 1]!) / 2) * (at[i]! - at[i - 1]!);
  return area / (at.at(-1)! - at[0]!);
}
