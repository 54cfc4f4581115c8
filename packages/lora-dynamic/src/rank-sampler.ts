import { createRng, QdyloraError } from '@qdylora/contract';
import { rankProbabilities, type RankDistribution } from './rank-distribution.ts';
import type { RankSet } from './rank-set.ts';

/**
 * Which ranks the parts of one optimizer step see:
 * - `one`: a single drawn rank (Valipour et al. 2023, as in QDyLoRA);
 * - `stratified`: the parts' draws are spread evenly over the distribution, so a step rarely sees one rank only;
 * - `sandwich`: every other part sees the largest rank, the rest one drawn rank;
 * - `all`: the whole batch once at every rank.
 */
export type RankSchedule = 'one' | 'stratified' | 'sandwich' | 'all';
export const RANK_SCHEDULES: readonly RankSchedule[] = ['one', 'stratified', 'sandwich', 'all'];

export interface RankSamplerOptions { readonly distribution?: RankDistribution; readonly seed: number; readonly schedule?: RankSchedule }

export interface RankSampler {
  readonly schedule: RankSchedule;
  /** The drawn rank of a step: a pure function of (seed, step), the same on every machine and after every resume. */
  rankAt(step: number): number;
  /** Into how many parts the step's batch should be cut (at least): 2 for `sandwich` and `stratified`, else 1. */
  readonly parts: 1 | 2;
  /** The ranks that part `part` of `parts` runs at, in order. */
  ranksOfPart(step: number, part: number, parts: number): readonly number[];
}

/** @throws QdyloraError BAD_ARGUMENT for a schedule or distribution that does not exist. */
export function rankSampler(set: RankSet, { distribution = 'uniform', seed, schedule = 'one' }: RankSamplerOptions): RankSampler {
  if (!RANK_SCHEDULES.includes(schedule)) {
    throw new QdyloraError('BAD_ARGUMENT', { where: 'rank_schedule', problem: `expected one of ${RANK_SCHEDULES.join(', ')}, got ${String(schedule)}` });
  }
  const probabilities = rankProbabilities(set, distribution), rng = createRng(seed).named('rank');
  const rankOf = (u: number): number => {
    let above = u;
    for (const [i, p] of probabilities.entries()) if ((above -= p) < 0) return set.ranks[i]!;
    return set.ranks[probabilities.findLastIndex((p) => p > 0)]!; // u within rounding of 1
  };
  const rankAt = (step: number): number => rankOf(rng.uniform(step));
  return {
    schedule, rankAt, parts: schedule === 'sandwich' || schedule === 'stratified' ? 2 : 1,
    ranksOfPart(step, part, parts) {
      if (schedule === 'all') return set.ranks;
      if (schedule === 'sandwich') return [parts === 1 || part % 2 === 1 ? rankAt(step) : set.maxRank];
      if (schedule === 'stratified') return [rankOf((rng.uniform(step) + part / parts) % 1)];
      return [rankAt(step)];
    },
  };
}
