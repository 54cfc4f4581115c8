import { assertArgument, shownValue } from '@qdylora/contract';

const RANK_AXES = ['log2', 'linear'] as const;

/** Axis of integration: log2 of the rank (doublings), or the rank itself. */
export type RankAxis = (typeof RANK_AXES)[number];

/**
 * Area under the rank curve (AURAC, MatryoshkaLoRA 2026) of the gain in loss, divided by its width: the mean
 * gain between the smallest and the largest rank. The gain of a single rank is its AURAC.
 *
 *     Σ (gᵢ + gᵢ₋₁)/2 · (xᵢ − xᵢ₋₁) / (xₙ − x₁)    trapezoidal rule; x = log2(rank) or rank, g: gain
 *
 * @param ranks rising: [ranks]
 * @param gains base loss minus loss at each rank: [ranks]
 * @throws QdyloraError BAD_ARGUMENT for an unknown axis, ranks that do not rise, or another number of gains
 * @example
 * aurac([1, 2, 4], [0, 1, 1], 'log2'); // 0.75
 */
export function aurac(ranks: readonly number[], gains: readonly number[], axis: RankAxis): number {
  assertArgument(
    RANK_AXES.includes(axis),
    'aurac',
    `The axis must be one of ${RANK_AXES.join(', ')} (got ${shownValue(axis)})`,
  );
  assertArgument(
    ranks.length > 0 && ranks.length === gains.length,
    'aurac',
    `There must be one gain for each rank and at least one rank (got ${gains.length} gains for ` +
      `${ranks.length} ranks)`,
  );
  assertArgument(
    ranks.every((rank, i) => rank > (ranks[i - 1] ?? 0)),
    'aurac',
    `The ranks must be positive and rising (got ${ranks.join(', ')})`,
  );
  if (ranks.length === 1) return gains[0];
  const positions = ranks.map((rank) => (axis === 'log2' ? Math.log2(rank) : rank));
  let area = 0;
  for (let i = 1; i < positions.length; i++) {
    area += ((gains[i] + gains[i - 1]) / 2) * (positions[i] - positions[i - 1]);
  }
  return area / (positions.at(-1)! - positions[0]);
}
