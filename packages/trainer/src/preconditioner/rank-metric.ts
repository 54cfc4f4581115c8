import type { Pass } from '../step/run-pass.ts';

/** The rows that some tokens of a step train, and the weight of these tokens. */
export interface TrainedShare {
  /** Rows trainFrom … rank−1. */
  readonly rank: number;
  readonly trainFrom: number;
  /** Share of the tokens of the step, times their weight. All shares add up to 1. */
  readonly share: number;
}

/** The different row ranges that the passes of a step train; empty without adapters. */
export function trainedShares(passes: readonly Pass[]): TrainedShare[] {
  const byRows = new Map<string, TrainedShare>();
  let total = 0;
  for (const { view, batch, weight: passWeight = 1 } of passes) {
    if (!view.active) continue;
    const tokens = batch.ids.length;
    const parts = view.active.parts ?? [{ ...view.active, until: tokens, weight: 1 }];
    let from = 0;
    for (const { until, rank, trainFrom, weight = 1 } of parts) {
      const share = passWeight * weight * (until - from);
      const key = `${trainFrom} ${rank}`;
      byRows.set(key, { rank, trainFrom, share: share + (byRows.get(key)?.share ?? 0) });
      total += share;
      from = until;
    }
  }
  return [...byRows.values()].map((rows) => ({ ...rows, share: rows.share / total }));
}

/**
 * Weights for the entries of a Gram matrix of an adapter's rows. With them it measures how far a change of
 * the rows moves the output, on average over the tokens of a step: [i, j] = Σ share·(s_rank / s_largest)²
 * over the ranges that contain both rows. In a step at one rank all weights are 1.
 *
 * @param size largest rank of the step
 * @returns [size, size]
 */
export function rankMetric(
  shares: readonly TrainedShare[],
  size: number,
  scaleAt: (rank: number) => number,
): Float64Array {
  const weights = new Float64Array(size * size);
  for (const { rank, trainFrom, share } of shares) {
    const weight = share * (scaleAt(rank) / scaleAt(size)) ** 2;
    for (let i = trainFrom; i < rank; i++)
      for (let j = trainFrom; j < rank; j++) weights[i * size + j] += weight;
  }
  return weights;
}
