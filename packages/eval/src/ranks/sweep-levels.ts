import { assertArgument } from '@qdylora/contract';
import type { EvalView } from '../eval-model.ts';
import type { EvalTask } from '../eval-task.ts';
import type { RankReport } from './rank-report.ts';
import { sweepRanks, type SweepOptions } from './sweep-ranks.ts';

/** Held-out losses of all ranks at one quantization level of the base. */
export interface LevelReport {
  /** Bits a weight. */
  readonly level: number;
  readonly report: RankReport;
}

/** The rows and columns of a grid. */
export interface Grid {
  readonly ranks: Iterable<number>;
  /** In bits a weight, in the order of the result. */
  readonly levels: readonly number[];
}

/**
 * Held-out loss at every pair of rank and quantization level: one sweep over the ranks for each level,
 * against the base at that level.
 *
 * @throws QdyloraError as `sweepRanks`; BAD_ARGUMENT without levels
 * @example
 * const grid = { ranks: adapted.ranks, levels: adapted.levels };
 * const atRank = (rank: number, level: number) => adapted.atRank(rank, { level });
 * const reports = await sweepLevels(atRank, grid, perplexity(heldOut));
 */
export async function sweepLevels(
  atRank: (rank: number, level: number) => EvalView,
  { ranks, levels }: Grid,
  task: EvalTask,
  options: SweepOptions = {},
): Promise<LevelReport[]> {
  assertArgument(levels.length > 0, 'sweep-levels', 'There must be at least one level');
  const rankList = [...ranks];
  const reports: LevelReport[] = [];
  for (const level of levels)
    reports.push({
      level,
      report: await sweepRanks((rank) => atRank(rank, level), rankList, task, options),
    });
  return reports;
}
