import { allocateRanks, type AdapterState } from '@qdylora/lora-dynamic';
import type { RankOf } from './cut-adapter.ts';
import type { WeighedRows } from './weigh-rows.ts';

/**
 * Chooses the rank of each layer under a budget of bytes: by what its rows are worth (`allocateRanks`), or
 * the largest trained rank that fits everywhere; whichever has the smaller loss. Rows of a small rank were
 * trained to be used together, which their worth one by one does not tell. Where no trained rank fits, the
 * other choice is the smallest one in some of the layers.
 *
 * @param lossAt the loss over rows of the task of the adapter with these ranks
 * @throws QdyloraError BAD_ARGUMENT for a budget below the smallest row
 */
export async function chooseRanks(
  budgetBytes: number,
  { state, gains }: WeighedRows,
  lossAt: (rankOf: RankOf) => Promise<number>,
): Promise<RankOf> {
  const byWorth = allocateRanks(gains, budgetBytes);
  const together = trainedTogether(budgetBytes, { state, gains });
  return (await lossAt(together)) <= (await lossAt(byWorth)) ? together : byWorth;
}

/** The largest trained rank that fits everywhere, or else the smallest one where it gains most. */
function trainedTogether(budgetBytes: number, { state, gains }: WeighedRows): RankOf {
  const { layers, ranks } = state;
  const rank = ranks.findLast((each) => bytesAt(state, each) <= budgetBytes);
  if (rank !== undefined) return new Map(layers.map(({ name }) => [name, rank]));
  const firstRows = gains.map((layer) => ({ ...layer, gains: layer.gains.slice(0, ranks[0]) }));
  return allocateRanks(firstRows, budgetBytes);
}

/** Bytes of A and B in float32 at a rank. */
const bytesAt = ({ layers }: AdapterState, rank: number): number =>
  layers.reduce((sum, { inFeatures, outFeatures }) => sum + 4 * rank * (inFeatures + outFeatures), 0);
