import { runOp, type ArrayView } from '@qdylora/contract';
import { dequantizeBlockwise } from '@qdylora/quant';
import { readElement } from '@qdylora/tensor';
import type { Adapted } from './adapted.ts';
import type { DyLoraLinear } from './dylora-linear.ts';
import { sliceRank, type SlicedLayer } from './slice-rank.ts';

/** A weight with its adapter folded in.  weight: [out, in] float32 */
export interface MergedLayer { readonly name: string; readonly outFeatures: number; readonly inFeatures: number; readonly weight: Float32Array }

/** Folds every adapter at rank r into a decoded copy of its frozen weight, one layer at a time; the model stays as it is. */
export function* mergeAtRank<M>(adapted: Adapted<M> & { readonly model: { readonly backend: Parameters<typeof runOp>[0] } }, rank: number): Generator<MergedLayer> {
  const sliced = sliceRank(adapted.state(), rank);
  for (const [i, layer] of adapted.layers.entries()) {
    const { name, outFeatures, inFeatures } = layer;
    yield { name, outFeatures, inFeatures, weight: mergeLayer(decodedWeight(layer, adapted.model.backend), sliced.layers[i]!, sliced.scale) };
  }
}

/** weight + scale · B·A, summed in float64 and rounded once, in place.  weight: [out, in] */
export function mergeLayer(weight: Float32Array, { a, b, inFeatures, outFeatures }: SlicedLayer, scale: number): Float32Array {
  const rank = a.length / inFeatures, row = new Float64Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = b[o * rank + k]!;
      for (let j = 0; j < inFeatures; j++) row[j]! += factor * a[k * inFeatures + j]!;
    }
    for (let j = 0; j < inFeatures; j++) weight[o * inFeatures + j] = weight[o * inFeatures + j]! + scale * row[j]!;
  }
  return weight;
}

/** The frozen weight as the forward pass sees it in float32: a new array. */
function decodedWeight({ base, outFeatures, inFeatures }: DyLoraLinear, backend: Parameters<typeof runOp>[0]): Float32Array {
  if ('view' in base.weight) {
    const at = readElement(base.weight.view as ArrayView<'f32'>);
    return Float32Array.from({ length: outFeatures * inFeatures }, (_, i) => at(i));
  }
  const { operands, attributes } = base.weight;
  return backend.memory.scoped(() => Float32Array.from(runOp(backend, dequantizeBlockwise, operands as never, attributes as never).values.data));
}
