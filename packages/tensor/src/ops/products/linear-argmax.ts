import {
  hostData,
  assertShape,
  defineOp,
  f32Array,
  floatArray,
  optional,
  u8Array,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { ComputeDtype } from './linear.ts';
import { readElement } from '../elements/read-element.ts';

type F32 = ArrayView<'f32'>;

/**
 * Head and greedy choice in one op: the row of the weight with the largest product with x.
 *
 * The first of equal products wins. A NaN product never wins; if all are NaN, the result is row 0. `codes`
 * and `scales` are `quantizeRows` of the same weight. A kernel can use them to rule out most rows, and reads
 * only the others of the weight: the same answer for half of the bytes of a bf16 head.
 *
 * x: [tokens, in]   weight: [out, in]   codes: [out, in]   scales: [out]
 * →   ids: [tokens]   logits: [tokens], the products of those rows
 */
export const linearArgmax = defineOp({
  name: 'linear-argmax',
  takes: {
    x: f32Array(2),
    weight: floatArray(2),
    codes: optional(u8Array(2)),
    scales: optional(f32Array(1)),
  },
  shapes(
    i: { x: F32; weight: FloatView; codes?: ArrayView<'u8'>; scales?: F32 },
    _: { computeDtype: ComputeDtype },
  ) {
    const [out, inFeatures] = i.weight.shape as [number, number];
    const tokens = i.x.shape[0];
    assertShape('linear-argmax', 'weight', i.weight.shape, [Math.max(out, 1), -1]);
    assertShape('linear-argmax', 'x', i.x.shape, [-1, inFeatures]);
    if (i.codes) assertShape('linear-argmax', 'codes', i.codes.shape, [out, inFeatures]);
    if (i.scales) assertShape('linear-argmax', 'scales', i.scales.shape, [out]);
    return { ids: { dtype: 'i32', shape: [tokens] }, logits: { dtype: 'f32', shape: [tokens] } };
  },
  flops: ({ x, weight }) => 2 * x.shape[0] * weight.shape[0] * weight.shape[1],
  reference({ x, weight }, { ids, logits }: { ids: ArrayView<'i32'>; logits: F32 }, { computeDtype }) {
    const idsData = hostData(ids);
    const logitsData = hostData(logits);
    const [out, inFeatures] = weight.shape as [number, number];
    const xAt = readElement(x, computeDtype);
    const wAt = readElement(weight, computeDtype);
    const product = (t: number, row: number): number => {
      let sum = 0;
      for (let k = 0; k < inFeatures; k++) sum += xAt(t * inFeatures + k) * wAt(row * inFeatures + k);
      return sum;
    };
    for (let t = 0; t < x.shape[0]; t++) {
      let best = 0;
      let greatest = product(t, 0);
      for (let row = 1; row < out; row++) {
        const sum = product(t, row);
        if (sum > greatest || (Number.isNaN(greatest) && !Number.isNaN(sum))) [best, greatest] = [row, sum];
      }
      idsData[t] = best;
      logitsData[t] = greatest;
    }
  },
});
