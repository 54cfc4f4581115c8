import { QdyloraError } from '@qdylora/contract';
import type { RankSet } from './rank-set.ts';

/**
 * The probabilities of the ranks of a set.
 * - `uniform`: equal. Of the ranks 1, 2, 4 … 64, the rows beyond 32 are then used in one step of seven.
 * - `geometric`: each rank is half as likely as the next smaller one.
 * - `tail_heavy`: in proportion to the rows that a rank adds, like a uniform draw from 1 … R rounded up to
 *   the next listed rank. The rows beyond R/2 are used in every second step.
 * - `upper`: half of the draws at the largest rank, none at the smallest, all others alike. For
 *   distillation, which gives the smallest rank its own passes.
 * - `top_heavy`: as `upper`, with three quarters of the draws at the largest rank.
 * - A list: one weight per rank.
 */
export type RankDistribution = (typeof RANK_DISTRIBUTIONS)[number] | readonly number[];

/** The distributions that have a name, for checks and messages. */
export const RANK_DISTRIBUTIONS = ['uniform', 'geometric', 'tail_heavy', 'upper', 'top_heavy'] as const;

/**
 * Probabilities of the ranks in the set's order; they sum to 1.  @throws QdyloraError BAD_ARGUMENT for
 * invalid weights
 */
export function rankProbabilities(set: RankSet, distribution: RankDistribution): number[] {
  const { ranks } = set;
  const weights = weightsOf(set, distribution);
  const total = weights.reduce((sum, w) => sum + w, 0);
  const areValid =
    weights.length === ranks.length && weights.every((w) => Number.isFinite(w) && w >= 0) && total > 0;
  if (!areValid) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rank_distribution',
      problem:
        `the distribution must be ${RANK_DISTRIBUTIONS.join(', ')}, or ${ranks.length} weights ≥ 0 with a ` +
        `positive sum (got ${JSON.stringify(distribution)})`,
      nextStep: `Pass one weight for each of the ranks ${ranks.join(', ')}.`,
    });
  }
  return weights.map((w) => w / total);
}

function weightsOf({ ranks, blockStart }: RankSet, distribution: RankDistribution): readonly number[] {
  switch (distribution) {
    case 'uniform':
      return ranks.map(() => 1);
    case 'geometric':
      return ranks.map((_, i) => 2 ** -i);
    case 'tail_heavy':
      return ranks.map((rank) => rank - blockStart(rank));
    case 'upper':
      return upperWeights(ranks.length, 1);
    case 'top_heavy':
      return upperWeights(ranks.length, 3);
    default:
      return Array.isArray(distribution) ? (distribution as readonly number[]) : [];
  }
}

/** 0 for the smallest rank, 1 for each other one, and for the largest `times` as much as for all of them. */
function upperWeights(count: number, times: number): number[] {
  const weights = new Array<number>(count).fill(1);
  weights[0] = 0;
  // with one or two ranks there are no others: the largest gets all draws
  weights[count - 1] = Math.max(1, times * (count - 2));
  return weights;
}
