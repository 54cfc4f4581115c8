import type { Backend } from '@qdylora/contract';
import { decodedWeight } from '@qdylora/tensor';
import type { Adapted } from '../adapter/adapted.ts';
import type { DyLoraLinear } from '../layers/dylora-linear.ts';
import { sliceLayer, type SlicedLayer } from './slice-rank.ts';

/** A weight with its adapter merged.  weight: [out, in] float32 */
export interface MergedLayer {
  readonly name: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly weight: Float32Array;
}

/**
 * Merges every adapter at rank r into a decoded copy of its frozen weight, one layer at a time. The model is
 * unchanged.
 *
 * @throws QdyloraError BAD_ARGUMENT unless 1 ≤ rank ≤ maxRank
 */
export async function* mergeAtRank<M extends { readonly backend: Backend }>(
  { model, ranks, layers }: Adapted<M>,
  rank: number,
): AsyncGenerator<MergedLayer> {
  ranks.assertUsable(rank);
  for (const layer of layers) yield await mergeLayerAtRank(layer, model.backend, rank);
}

/** Merges one layer at a rank that has been checked. */
export async function mergeLayerAtRank(
  layer: DyLoraLinear,
  backend: Backend,
  rank: number,
): Promise<MergedLayer> {
  const { memory } = backend;
  const { name, outFeatures, inFeatures, base, a, b } = layer;
  const sliced = sliceLayer(
    {
      name,
      inFeatures,
      outFeatures,
      a: (await memory.read(a.view)) as Float32Array,
      b: (await memory.read(b.view)) as Float32Array,
    },
    rank,
  );
  return {
    name,
    outFeatures,
    inFeatures,
    weight: addAdapterInPlace(await decodedWeight(base.weight, backend), sliced, layer.scaleAt(rank)),
  };
}

/** weight ← weight + scale·B·A. Sums in float64, rounds once, returns `weight`.  weight: [out, in] */
export function addAdapterInPlace(
  weight: Float32Array,
  { a, b, inFeatures, outFeatures }: SlicedLayer,
  scale: number,
): Float32Array {
  const rank = a.length / inFeatures;
  const row = new Float64Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = b[o * rank + k];
      for (let j = 0; j < inFeatures; j++) row[j] += factor * a[k * inFeatures + j];
    }
    for (let j = 0; j < inFeatures; j++)
      weight[o * inFeatures + j] = weight[o * inFeatures + j] + scale * row[j];
  }
  return weight;
}
