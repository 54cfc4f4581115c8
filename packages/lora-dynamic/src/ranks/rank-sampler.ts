import {
  anyValue,
  checkOptions,
  createRng,
  QdyloraError,
  required,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { rankProbabilities, type RankDistribution } from './rank-distribution.ts';
import type { RankSet } from './rank-set.ts';

/**
 * Which ranks the parts of one optimizer step see:
 * - `one`: a single drawn rank (Valipour et al. 2023, as in QDyLoRA);
 * - `each`: every part draws for itself;
 * - `stratified`: the parts' draws are spread evenly over the distribution, so a step rarely sees one rank
 *   only;
 * - `sandwich`: every other part sees the largest rank, the rest one drawn rank;
 * - `all`: the whole batch once at every rank.
 *
 * A part is a micro batch, or some of its examples (`segments`). Except for `all` every token is seen once,
 * whatever the schedule.
 */
export type RankSchedule = 'one' | 'each' | 'stratified' | 'sandwich' | 'all';
export const RANK_SCHEDULES: readonly RankSchedule[] = ['one', 'each', 'stratified', 'sandwich', 'all'];

export interface RankSamplerOptions {
  readonly distribution?: RankDistribution;
  readonly seed: number;
  readonly schedule?: RankSchedule;
  /**
   * Parts that each micro batch is cut into, between its examples. By default 2 where a step has one micro
   * batch and its parts see different ranks, else 1.
   */
  readonly segments?: number | null;
  /** Factor on the loss of each rank, in the set's order; 1 by default. */
  readonly lossWeights?: readonly number[] | null;
}

export interface RankSampler {
  readonly schedule: RankSchedule;
  /**
   * The drawn rank of a step: a pure function of (seed, step), the same on every machine and after every
   * resume.
   */
  rankAt(step: number): number;
  /** Into how many parts each micro batch of a step is cut (at most: no example is). */
  segmentsOf(microBatches: number): number;
  /** The ranks that part `part` of `parts` runs at, in order. */
  ranksOfPart(step: number, part: number, parts: number): readonly number[];
  /** Factor on the loss of a pass at `rank`. */
  lossWeightOf(rank: number): number;
}

const OPTIONS: OptionRules<RankSamplerOptions> = {
  distribution: anyValue,
  seed: required(wholeNumber()),
  schedule: anyValue,
  segments: anyValue,
  lossWeights: anyValue,
};

/**
 * @throws QdyloraError BAD_ARGUMENT for a schedule or distribution that does not exist, or weights that do
 * not fit.
 */
export function rankSampler(set: RankSet, options: RankSamplerOptions): RankSampler {
  checkOptions('rankSampler', options, OPTIONS);
  const { distribution = 'uniform', seed, schedule = 'one', segments = null, lossWeights = null } = options;
  if (!RANK_SCHEDULES.includes(schedule)) {
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rank_schedule',
      problem: `the schedule must be one of ${RANK_SCHEDULES.join(', ')} (got ${String(schedule)})`,
    });
  }
  if (segments !== null && !(Number.isSafeInteger(segments) && segments >= 1))
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'rank_segments',
      problem: `the number of segments must be a whole number ≥ 1 (got ${shownValue(segments)})`,
    });
  checkLossWeights(set, lossWeights);
  const probabilities = rankProbabilities(set, distribution);
  const rng = createRng(seed).named('rank');
  const partRng = rng.named('part');
  const rankOf = (u: number): number => {
    let above = u;
    for (const [i, p] of probabilities.entries()) if ((above -= p) < 0) return set.ranks[i];
    return set.ranks[probabilities.findLastIndex((p) => p > 0)]; // u within rounding of 1
  };
  const rankAt = (step: number): number => rankOf(rng.uniform(step));
  const hasUnlikeParts = schedule !== 'one' && schedule !== 'all';
  return {
    schedule,
    rankAt,
    segmentsOf: (microBatches) => (hasUnlikeParts ? (segments ?? (microBatches === 1 ? 2 : 1)) : 1),
    lossWeightOf: (rank) => lossWeights?.[set.ranks.indexOf(rank)] ?? 1,
    ranksOfPart(step, part, parts) {
      switch (schedule) {
        case 'all':
          return set.ranks;
        case 'sandwich':
          return [parts === 1 || part % 2 === 1 ? rankAt(step) : set.maxRank];
        case 'stratified':
          return [rankOf((rng.uniform(step) + part / parts) % 1)];
        case 'each':
          return [part === 0 ? rankAt(step) : rankOf(partRng.uniform(step, part))];
        case 'one':
          return [rankAt(step)];
      }
    },
  };
}

function checkLossWeights({ ranks }: RankSet, weights: readonly number[] | null): void {
  if (
    weights === null ||
    (weights.length === ranks.length && weights.every((weight) => Number.isFinite(weight) && weight > 0))
  )
    return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'rank_loss_weights',
    problem:
      `there must be one weight > 0 for each of the ranks ${ranks.join(', ')} ` +
      `(got ${JSON.stringify(weights)})`,
    nextStep: 'A rank that should not be trained gets weight 0 in rank_distribution.',
  });
}
