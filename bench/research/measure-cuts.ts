import type { Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { attach } from './adapters.ts';
import { cutState } from './cut-state.ts';
import { heldOutLosses, type LossesByRank } from './held-out-losses.ts';
import type { Cut } from './job.ts';
import type { Setting } from './setting.ts';

const CUT_RANKS = [1, 2, 4, 8, 16, 32];

/** Held-out losses of the trained adapter, cut at smaller ranks in each of the job's ways (`cuts`). */
export async function measureCuts(
  setting: Setting,
  adapted: Adapted<CausalLm>,
): Promise<Partial<Record<Cut, Omit<LossesByRank, 'rowCounts'>>>> {
  const { job, model, heldOut } = setting;
  const { maxRank } = adapted.ranks;
  const ranks = CUT_RANKS.filter((rank) => rank < maxRank);
  const cutAdapter = attach(model, { ...job, scaling: 'uniform', alpha: 1 }, [...ranks, maxRank]);
  const results: Partial<Record<Cut, Omit<LossesByRank, 'rowCounts'>>> = {};
  for (const cut of job.cuts) {
    await cutAdapter.load(await cutState(setting, adapted, cut));
    const { losses, rowSums } = await heldOutLosses(
      ranks,
      ranks.map((rank) => cutAdapter.atRank(rank)),
      heldOut,
    );
    console.error(`${job.id} ${cut}: ${ranks.map((rank) => losses[rank].toFixed(4)).join(' ')}`);
    results[cut] = { losses, rowSums };
  }
  return results;
}
