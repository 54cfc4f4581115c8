import { collate } from '@qdylora/data';
import {
  allocateRanks,
  gainsOfRows,
  rowBytes,
  scaleAt,
  sortByMoments,
  type Adapted,
  type AdapterLayer,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { fisherOfRows } from '@qdylora/trainer';
import { attach } from './adapters.ts';
import { heldOutLosses } from './held-out-losses.ts';
import { inputMoments } from './input-moments.ts';
import type { Setting } from './setting.ts';

/** Training rows whose loss decides the ranks of `by-loss`: as many as for `export --budget`. */
const TASK_ROWS = 128;

/** A way to cut an adapter: the rank of each layer under a budget, and the layers cut at these ranks. */
interface Way {
  readonly layersAt: (rankOf: ReadonlyMap<string, number>) => readonly AdapterLayer[];
  readonly ranksAt: (budgetRank: number) => ReadonlyMap<string, number>;
}

/**
 * Losses of adapters that have the bytes of the adapter at each rank of `budgetRanks`:
 * - `uniform`: rows sorted by the energy of their outputs, the same rank in every layer;
 * - `per-layer`: the same rows, each layer's rank chosen by energy;
 * - `by-loss`: rows in the order of training, each layer's rank chosen by the estimated gain in the loss.
 *   `export --budget` also tries the largest trained rank that fits.
 */
export async function measureBudgets(setting: Setting, nested: Adapted<CausalLm>) {
  const { job, model, heldOut } = setting;
  const { maxRank } = nested.ranks;
  const adapted = attach(model, { ...job, scaling: 'constant', alpha: maxRank }, [maxRank]);
  const results = [];
  for (const [kind, { layersAt, ranksAt }] of Object.entries(await waysToCut(setting, nested)))
    for (const budgetRank of job.budgetRanks) {
      const ranks = ranksAt(budgetRank);
      await adapted.load({
        ranks: [maxRank],
        maxRank,
        alpha: maxRank,
        scaling: 'constant',
        layers: layersAt(ranks),
      });
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

async function waysToCut(setting: Setting, nested: Adapted<CausalLm>): Promise<Record<string, Way>> {
  const state = await nested.state();
  const { scaling, alpha, maxRank, layers } = state;
  const sorted = sortByMoments(state, await inputMoments(setting, nested));
  const byEnergy = sorted.map((layer) => ({ ...layer, gains: layer.energies }));
  const rows = setting.training.slice(0, TASK_ROWS).map((row) => collate([row]));
  const byLoss = gainsOfRows(state, await fisherOfRows(nested, rows, { computeDtype: 'bf16' }));
  const bytesOf = (rank: number): number => rank * layers.reduce((sum, layer) => sum + rowBytes(layer), 0);
  const cutSorted: Way['layersAt'] = (rankOf) =>
    sorted.map((layer) => firstRows(layer, rankOf.get(layer.name)!, 1));
  return {
    uniform: { layersAt: cutSorted, ranksAt: (rank) => new Map(layers.map(({ name }) => [name, rank])) },
    'per-layer': { layersAt: cutSorted, ranksAt: (rank) => allocateRanks(byEnergy, bytesOf(rank)) },
    'by-loss': {
      layersAt: (rankOf) =>
        layers.map((layer) => {
          const rank = rankOf.get(layer.name)!;
          return firstRows(layer, rank, rank === 0 ? 0 : scaleAt(scaling, alpha, rank, maxRank));
        }),
      ranksAt: (rank) => allocateRanks(byLoss, bytesOf(rank)),
    },
  };
}

/** The first rows of a layer, multiplied by `scale` in B; all other rows are 0. */
const firstRows = (
  { name, inFeatures, outFeatures, a, b }: AdapterLayer,
  rank: number,
  scale: number,
): AdapterLayer => ({
  name,
  inFeatures,
  outFeatures,
  a: a.map((value, i) => (i < rank * inFeatures ? value : 0)),
  b: b.map((value, i) => (i < rank * outFeatures ? scale * value : 0)),
});
