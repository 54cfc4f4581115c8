import { QdyloraError } from '@qdylora/contract';
import type { RankSet } from './rank-set.ts';

/** How likely each rank of the set is: `uniform`, `geometric` (each half as likely as the next smaller one), or one weight per rank. */
export type RankDistribution = 'uniform' | 'geometric' | readonly number[];

export const RANK_DISTRIBUTIONS = ['uniform', 'geometric'] as const;

/** Probabilities of the ranks, in the set's order; they sum to 1.  @throws QdyloraError BAD_ARGUMENT for weights that do not fit. */
export function rankProbabilities({ ranks }: RankSet, distribution: RankDistribution): number[] {
  const weights = weightsOf(ranks.length, distribution), total = weights.reduce((sum, w) => sum + w, 0);
  const fits = weights.length === ranks.length && weights.every((w) => Number.isFinite(w) && w >= 0) && total > 0;
  if (!fits) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rank_distribution', problem: `expected ${RANK_DISTRIBUTIONS.join(', ')}, or ${ranks.length} weights ≥ 0 with a positive sum, got ${JSON.stringify(distribution)}`,
      nextStep: `One weight for each of the ranks ${ranks.join(', ')}.`,
    });
  }
  return weights.map((w) => w / total);
}

function weightsOf(count: number, distribution: RankDistribution): readonly number[] {
  if (distribution === 'uniform') return new Array<number>(count).fill(1);
  if (distribution === 'geometric') return Array.from({ length: count }, (_, i) => 2 ** -i);
  return Array.isArray(distribution) ? distribution as readonly number[] : [];
}
