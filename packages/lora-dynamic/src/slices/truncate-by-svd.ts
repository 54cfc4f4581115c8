import { assertRankOfState, type AdapterLayer, type AdapterState } from '../adapter/adapter-state.ts';
import type { SlicedAdapter, SlicedLayer } from './slice-rank.ts';
import { scaleAt } from '../ranks/scaling.ts';
import { orthonormalRows } from '../linear-algebra/orthonormal-rows.ts';
import { smallSvd } from '../linear-algebra/small-svd.ts';

/**
 * Truncated SVD of scale·B·A of each layer at full rank: the best rank-r approximation in the least-squares
 * sense. The scale is folded into the factors (scale 1, loraAlpha = rank). Whether it beats the trained
 * prefix must be measured on held-out data.
 *
 * @throws QdyloraError BAD_ARGUMENT unless `state` is an adapter state and 1 ≤ rank ≤ maxRank
 */
export function truncateBySvd(state: AdapterState, rank: number): SlicedAdapter {
  assertRankOfState(state, rank);
  const { scaling, alpha, maxRank } = state;
  const scale = scaleAt(scaling, alpha, maxRank, maxRank);
  return {
    rank,
    scale: 1,
    loraAlpha: rank,
    useRslora: false,
    layers: state.layers.map((layer): SlicedLayer => {
      const { name, inFeatures, outFeatures } = layer;
      return {
        name,
        inFeatures,
        outFeatures,
        ...factorsOf(layer, { maxRank, scale, rank }),
      };
    }),
  };
}

/**
 * With Bᵀ = Qb·Rb and Aᵀ = Qa·Ra (thin QR), scale·B·A = Qb·(scale·Rb·Raᵀ)·Qaᵀ, so only a maxRank × maxRank
 * matrix needs an SVD U·S·Vᵀ.
 * a: [maxRank, in]  b: [maxRank, out]  →  a = √S·(Qa·V)ᵀ: [rank, in]  b = (Qb·U)·√S: [out, rank]
 */
function factorsOf(
  { a, b, inFeatures, outFeatures }: AdapterLayer,
  { maxRank, scale, rank }: { readonly maxRank: number; readonly scale: number; readonly rank: number },
): { a: Float32Array; b: Float32Array } {
  const qa = orthonormalRows(a, maxRank, inFeatures);
  const qb = orthonormalRows(b, maxRank, outFeatures);
  const core = new Float64Array(maxRank * maxRank); // [i, j] = scale · Σ_k rb[i, k]·ra[j, k]
  for (let i = 0; i < maxRank; i++)
    for (let j = 0; j < maxRank; j++) {
      let sum = 0;
      for (let k = 0; k < maxRank; k++) sum += qb.r[i * maxRank + k] * qa.r[j * maxRank + k];
      core[i * maxRank + j] = scale * sum;
    }
  const { u, s, v } = smallSvd(core, maxRank);
  const outA = new Float32Array(rank * inFeatures);
  const outB = new Float32Array(outFeatures * rank);
  for (let k = 0; k < rank; k++) {
    const root = Math.sqrt(s[k]);
    for (let j = 0; j < inFeatures; j++) {
      let sum = 0;
      for (let i = 0; i < maxRank; i++) sum += qa.q[i * inFeatures + j] * v[i * maxRank + k];
      outA[k * inFeatures + j] = root * sum;
    }
    for (let o = 0; o < outFeatures; o++) {
      let sum = 0;
      for (let i = 0; i < maxRank; i++) sum += qb.q[i * outFeatures + o] * u[i * maxRank + k];
      outB[o * rank + k] = root * sum;
    }
  }
  return { a: outA, b: outB };
}
