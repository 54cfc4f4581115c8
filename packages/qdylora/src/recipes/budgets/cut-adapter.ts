import {
  attachDyLora,
  rowBytes,
  scaleAt,
  type AdapterLayer,
  type AdapterState,
  type RankView,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { TrainedAdapter } from './weigh-rows.ts';

/** A rank for each layer, by its name; 0: a layer without an adapter. */
export type RankOf = ReadonlyMap<string, number>;

/** Cuts an adapter and gives the model with it, until the next cut. */
export type CutAdapter = (rankOf: RankOf) => Promise<RankView<CausalLm>>;

/** A layer with its first rows alone. B contains the scale of that rank. */
export interface CutLayer extends AdapterLayer {
  readonly rank: number;
}

/** The layers of an adapter, each cut at its rank. */
export const layersAtRanks = (
  { layers, scaling, alpha, maxRank }: AdapterState,
  rankOf: RankOf,
): CutLayer[] =>
  layers.map(({ name, inFeatures, outFeatures, a, b }) => {
    const rank = rankOf.get(name)!;
    const scale = rank === 0 ? 0 : scaleAt(scaling, alpha, rank, maxRank);
    return {
      name,
      rank,
      inFeatures,
      outFeatures,
      a: a.slice(0, rank * inFeatures),
      b: b.slice(0, rank * outFeatures).map((value) => scale * value),
    };
  });

/** Bytes of A and B of all layers in float32, each at its rank. */
export const bytesAtRanks = ({ layers }: AdapterState, rankOf: RankOf): number =>
  layers.reduce((sum, layer) => sum + rankOf.get(layer.name)! * rowBytes(layer), 0);

/**
 * Lends a function that cuts the adapter `state`. Cuts are loaded into a second adapter of the same layers,
 * whose scale is 1; a row that is cut off is 0 there.
 */
export async function withCuts<T>(
  { model, adapted, level }: Omit<TrainedAdapter, 'state'>,
  state: AdapterState,
  work: (cut: CutAdapter) => Promise<T>,
): Promise<T> {
  const { maxRank } = state;
  const config = { ranks: [maxRank], alpha: maxRank, scaling: 'constant' } as const;
  const targetModules = adapted.layers.map(({ name }) => name);
  const second = attachDyLora(model, { ...config, targetModules });
  try {
    return await work(async (rankOf) => {
      const layers = layersAtRanks(state, rankOf).map((layer) => ({
        ...layer,
        a: filledUp(layer.a, maxRank * layer.inFeatures),
        b: filledUp(layer.b, maxRank * layer.outFeatures),
      }));
      await second.load({ ...config, maxRank, layers });
      return second.atRank(maxRank, { level });
    });
  } finally {
    for (const { view } of second.parameters()) model.backend.memory.release(view);
  }
}

/** The numbers, and 0 after them. */
function filledUp(values: Float32Array, length: number): Float32Array {
  const result = new Float32Array(length);
  result.set(values);
  return result;
}
