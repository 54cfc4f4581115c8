import { assertArgument } from '@qdylora/contract';
import { adapterBytes } from './adapter-bytes.ts';
import type { EvalView } from './eval-model.ts';
import type { EvalTask, MeasureOptions } from './eval-task.ts';
import { rankReport, type RankReport } from './rank-report.ts';

export interface SweepOptions extends MeasureOptions {
  /** The model without its adapter, to compare with: by default the same model with no active rank; null leaves it out. */
  readonly base?: EvalView | null;
  /** 0.05 by default. */
  readonly alpha?: number;
}

/**
 * Judges every rank of an adapter, and the base, in one walk over the data: each batch is seen by all of them in turn, so it is prepared once and all are
 * compared on the same tokens.
 *
 * @throws QdyloraError BAD_ARGUMENT without ranks; NON_FINITE where no rank has a finite loss; ABORTED where the signal fires.
 * @example
 * const report = await sweepRanks((rank) => adapted.atRank(rank), adapted.ranks, perplexity(heldOut));
 * report.smallestGoodRank;
 */
export async function sweepRanks(atRank: (rank: number) => EvalView, ranks: Iterable<number>, task: EvalTask, options: SweepOptions = {}): Promise<RankReport> {
  const list = [...new Set(ranks)].sort((a, b) => a - b);
  assertArgument(list.length > 0, 'rank-sweep', 'expected at least one rank to judge, got none');
  const views = list.map(atRank), { model } = views[0]!, { base = { model, active: null }, alpha } = options;
  const results = await task.measure(base ? [...views, base] : views, options);
  return rankReport({
    task: task.name, measured: list.map((rank, i) => ({ rank, losses: results[i]! })), base: base ? results.at(-1)! : null, alpha, adapterBytes: (rank) => adapterBytes(model, rank),
  });
}
