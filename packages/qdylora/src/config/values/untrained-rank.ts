import { termsOfWorker } from '@qdylora/collectives';
import { distinctRows } from '../distinct-rows.ts';

type RowSettings = Parameters<typeof distinctRows>[0];

/**
 * A rank of `max_rank_by_worker` whose workers all get no micro batch of a step; undefined: there is none.
 * Micro batches are the fewest terms that a full step has: those at the largest rank alone are not cut into
 * parts.
 */
export function untrainedRank(maxRanks: readonly number[], settings: RowSettings): number | undefined {
  const { gradientAccumulationSteps: microBatches } = distinctRows(settings);
  const trained = maxRanks.filter((_, worker) => {
    const { from, to } = termsOfWorker(microBatches, worker, maxRanks.length);
    return to > from;
  });
  return maxRanks.find((rank) => !trained.includes(rank));
}
