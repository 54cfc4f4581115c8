import type { Example } from '@qdylora/data';
import { lossOver, type MeasureOptions, type PerplexityOptions } from '@qdylora/eval';
import { allocateRanks, rowBytes } from '@qdylora/lora-dynamic';
import { bytesAtRanks, type CutAdapter, type RankOf } from './cut-adapter.ts';
import type { WeighedRows } from './weigh-rows.ts';

/** Rows of the task, and how their loss is measured. */
export interface ChooseRanksOptions extends PerplexityOptions, Omit<MeasureOptions, 'onProgress'> {
  readonly cut: CutAdapter;
  readonly taskRows: readonly Example[];
}

/**
 * Chooses the rank of each layer under a budget of bytes: by what its rows are worth (`allocateRanks`), or
 * the largest trained rank that fits everywhere; whichever has the smaller loss over rows of the task. Rows
 * of a small rank were trained to be used together, which their worth one by one does not tell. Where no
 * trained rank fits, the other choice is the smallest one in some of the layers, if it fits into one.
 *
 * @throws QdyloraError BAD_ARGUMENT for a budget below the smallest row; BAD_DATA if no token is counted;
 * ABORTED
 */
export async function chooseRanks(
  budgetBytes: number,
  weighed: WeighedRows,
  { cut, taskRows, ...options }: ChooseRanksOptions,
): Promise<RankOf> {
  const byWorth = allocateRanks(weighed.gains, budgetBytes);
  const together = trainedTogether(budgetBytes, weighed);
  if (!together) return byWorth;
  const { loss: lossTogether } = await lossOver(await cut(together), taskRows, options);
  const { loss: lossByWorth } = await lossOver(await cut(byWorth), taskRows, options);
  return lossTogether <= lossByWorth ? together : byWorth;
}

/**
 * The largest trained rank that fits everywhere, or else the smallest one in the layers where it gains most;
 * null where it fits into no layer.
 */
export function trainedTogether(budgetBytes: number, { state, gains }: WeighedRows): RankOf | null {
  const { layers, ranks } = state;
  const [smallest] = ranks;
  const everywhere = ranks.map((rank) => new Map(layers.map(({ name }) => [name, rank])));
  const fitting = everywhere.findLast((rankOf) => bytesAtRanks(state, rankOf) <= budgetBytes);
  if (fitting) return fitting;
  // all rows of the smallest rank as one row of as many bytes
  const blocks = gains.map((layer) => ({
    ...layer,
    inFeatures: smallest * layer.inFeatures,
    outFeatures: smallest * layer.outFeatures,
    gains: Float64Array.of(layer.gains.subarray(0, smallest).reduce((sum, gain) => sum + gain, 0)),
  }));
  if (blocks.every((block) => rowBytes(block) > budgetBytes)) return null;
  const chosen = allocateRanks(blocks, budgetBytes);
  return new Map([...chosen].map(([name, blockCount]) => [name, blockCount * smallest]));
}
