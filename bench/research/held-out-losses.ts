import type { Example } from '@qdylora/data';
import { perplexity } from '@qdylora/eval';
import type { RankView } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';

/** Tokens of one forward pass of the evaluation. */
const TOKENS_PER_BATCH = 2048;

/** Losses by rank, and those of each held-out row for paired comparisons. */
export interface LossesByRank {
  /** Mean over the counted tokens of all rows. */
  readonly losses: Readonly<Record<string, number>>;
  /** Sums of the token losses of each row. */
  readonly rowSums: Readonly<Record<string, readonly number[]>>;
  /** Counted tokens of each row. */
  readonly rowCounts: readonly number[];
}

/** Measures the held-out loss of each view. `ranks`: the rank of each view. */
export async function heldOutLosses(
  ranks: readonly number[],
  views: readonly RankView<CausalLm>[],
  heldOut: readonly Example[],
): Promise<LossesByRank> {
  const results = await perplexity(heldOut, { tokensPerBatch: TOKENS_PER_BATCH }).measure(views, {
    computeDtype: 'bf16',
  });
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  return {
    losses: Object.fromEntries(ranks.map((rank, i) => [rank, sum(results[i].sums) / sum(results[i].counts)])),
    rowSums: Object.fromEntries(
      ranks.map((rank, i) => [rank, [...results[i].sums].map((value) => Number(value.toFixed(3)))]),
    ),
    rowCounts: [...results[0].counts],
  };
}
