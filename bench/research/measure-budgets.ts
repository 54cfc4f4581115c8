import { allocateRanks, sortByMoments, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { attach } from './adapters.ts';
import { heldOutLosses } from './held-out-losses.ts';
import { inputMoments } from './input-moments.ts';
import type { Setting } from './setting.ts';

/** Losses of adapters of the bytes of some ranks, cut by energy: at one rank everywhere, and per layer. */
export async function measureBudgets(setting: Setting, nested: Adapted<CausalLm>) {
  const { job, model, heldOut } = setting;
  const { maxRank } = nested.ranks;
  const sorted = sortByMoments(await nested.state(), await inputMoments(setting, nested));
  const rowBytes = sorted.reduce(
    (sum, { inFeatures, outFeatures }) => sum + 4 * (inFeatures + outFeatures),
    0,
  );
  const adapted = attach(model, { ...job, scaling: 'constant', alpha: maxRank }, [maxRank]);
  const results = [];
  for (const budgetRank of job.budgetRanks)
    for (const kind of ['uniform', 'per-layer'] as const) {
      const ranks =
        kind === 'uniform'
          ? new Map(sorted.map(({ name }) => [name, budgetRank]))
          : allocateRanks(sorted, budgetRank * rowBytes);
      const layers = sorted.map((layer) => {
        const rank = ranks.get(layer.name)!;
        return {
          ...layer,
          a: layer.a.map((value, i) => (i < rank * layer.inFeatures ? value : 0)),
          b: layer.b.map((value, i) => (i < rank * layer.outFeatures ? value : 0)),
        };
      });
      await adapted.load({ ranks: [maxRank], maxRank, alpha: maxRank, scaling: 'constant', layers });
      const { losses, rowSums } = await heldOutLosses([maxRank], [adapted.atRank(maxRank)], heldOut);
      console.error(`${job.id} ${kind} ${budgetRank}: ${losses[maxRank].toFixed(4)}`);
      results.push({
        kind,
        budgetRank,
        ranks: [...ranks.values()],
        loss: losses[maxRank],
        rowSums: rowSums[maxRank],
      });
    }
  return results;
}
