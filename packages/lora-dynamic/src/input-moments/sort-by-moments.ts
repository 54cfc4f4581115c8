import type { AdapterLayer, AdapterState } from '../adapter/adapter-state.ts';
import { mixRows } from '../linear-algebra/mix-rows.ts';
import { orthonormalRows } from '../linear-algebra/orthonormal-rows.ts';
import { smallSvd } from '../linear-algebra/small-svd.ts';
import { squareTransposed } from '../linear-algebra/square-transposed.ts';
import { scaleAt } from '../ranks/scaling.ts';
import type { InputSums } from './observe-inputs.ts';

/**
 * A layer's adapter with rows sorted by how much they change the output. The scale is folded in: the adapter
 * computes B·A·x.
 */
export interface SortedLayer extends AdapterLayer {
  /** Σ over tokens of |change of the output|² that each row adds, non-increasing: [maxRank] */
  readonly energies: Float64Array;
}

/**
 * Sorts the rows of an adapter at its largest rank, so that a prefix of k rows is the best approximation of
 * rank k on the inputs of `moments`: no other product of rank k has a smaller error
 * Σ |ΔW·x − ΔW_k·x|² (Eckart and Young, in the metric of the inputs).
 *
 * With ΔW = s·B·A and H = Σ x·xᵀ, it is ΔW_k = U_k·U_kᵀ·ΔW, where U are the eigenvectors of
 * ΔW·H·ΔWᵀ = s²·B·M·Bᵀ and M = A·H·Aᵀ. With B = Q·R (Q orthonormal), only s²·R·M·Rᵀ: [maxRank, maxRank] needs
 * its eigenvectors. Rows without energy come last; all rows together are the whole adapter.
 *
 * @param moments the sums of `observeInputs`: [maxRank, maxRank] each
 * @returns the layers in their order; a: [maxRank, in], b: [maxRank, out]
 */
export function sortByMoments(state: AdapterState, moments: InputSums): SortedLayer[] {
  const scale = scaleAt(state.scaling, state.alpha, state.maxRank, state.maxRank);
  return state.layers.map((layer) => sortedLayer(layer, state.maxRank, scale, moments.get(layer.name)!));
}

function sortedLayer(layer: AdapterLayer, rank: number, scale: number, moments: Float32Array): SortedLayer {
  const { inFeatures, outFeatures } = layer;
  const { q, r } = orthonormalRows(layer.b, rank, outFeatures);
  // b_k = Σ_i r[i, k]·q_i, so ΔW = s·Σ_i q_i ⊗ (Σ_k r[i, k]·a_k)
  const core = product(product(r, Float64Array.from(moments), rank), squareTransposed(r, rank), rank);
  for (let i = 0; i < core.length; i++) core[i] *= scale * scale;
  // The core is symmetric, so v has its eigenvectors. Those without energy are 0 in u, but not in v.
  const { v, s: energies } = smallSvd(core, rank);
  const vectors = squareTransposed(v, rank); // one eigenvector a row
  const mixed = product(vectors, r, rank);
  return {
    name: layer.name,
    inFeatures,
    outFeatures,
    a: mixRows(
      mixed.map((weight) => scale * weight),
      layer.a,
    ),
    b: mixRows(vectors, q),
    energies,
  };
}

/** left · right, all [n, n] */
function product(left: Float64Array, right: Float64Array, n: number): Float64Array {
  const result = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let k = 0; k < n; k++) {
      const factor = left[i * n + k];
      for (let j = 0; j < n; j++) result[i * n + j] += factor * right[k * n + j];
    }
  return result;
}
