import type { Adapted, LevelOptions, RankView } from '@qdylora/lora-dynamic';
import type { LossModel } from './loss-model.ts';

/** The largest rank, with a gradient of every row, even if the update rule trains only the newest ones. */
export function viewOfAllRows(adapted: Adapted<LossModel>, options?: LevelOptions): RankView<LossModel> {
  const rank = adapted.ranks.maxRank;
  return { ...adapted.atRank(rank, options), active: { rank, trainFrom: 0 } };
}
