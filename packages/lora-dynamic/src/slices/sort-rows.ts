import type { AdapterLayer, AdapterState } from '../adapter/adapter-state.ts';
import { mixRows } from '../linear-algebra/mix-rows.ts';
import { orthonormalRows } from '../linear-algebra/orthonormal-rows.ts';
import { smallSvd } from '../linear-algebra/small-svd.ts';

/** How the rows of one layer were mixed: A′ = ofA · A and B′ = ofB · B.  both: [maxRank, maxRank] */
export interface RowMix {
  readonly ofA: Float64Array;
  readonly ofB: Float64Array;
}

/** An adapter with sorted rows, and the mix of each layer by name. */
export interface SortedRows {
  readonly state: AdapterState;
  readonly mixes: ReadonlyMap<string, RowMix>;
}

/**
 * Sorts the rows of an adapter by their share of the product BᵀA, without changing the product. A prefix of k
 * rows is then the best approximation of rank k (Eckart and Young), if the scale is the same at all ranks.
 * Training can continue: all rows of A get one norm, c, the root mean square of their norms before.
 *
 * With A = L·Q (L lower triangular, Q: orthonormal rows) and the eigenvectors W of Lᵀ·B·Bᵀ·L: [maxRank,
 * maxRank], largest eigenvalue first:
 *
 *   A′ = c·Wᵀ·Q = (c·Wᵀ·L⁻¹)·A     B′ = (Wᵀ·Lᵀ/c)·B
 *
 * The rows of A′ are orthogonal, and those of B′ are orthogonal with non-increasing norms. The two mixes are
 * inverse transposes of each other, so B′ᵀ·A′ = Bᵀ·A. Gradients change with the rows: ∂L/∂A′ = ofB · ∂L/∂A
 * and ∂L/∂B′ = ofA · ∂L/∂B.
 *
 * A row of A that depends on the rows before it, as in a layer narrower than maxRank, becomes 0 in both.
 */
export function sortRows(state: AdapterState): SortedRows {
  const sorted = state.layers.map((layer) => sortLayerRows(layer, state.maxRank));
  return {
    state: { ...state, layers: sorted.map(({ layer }) => layer) },
    mixes: new Map(sorted.map(({ layer, mix }) => [layer.name, mix])),
  };
}

/** Sorts the rows of one layer, as `sortRows` does.  a: [rank, in]  b: [rank, out] */
export function sortLayerRows(
  layer: AdapterLayer,
  rank: number,
): { readonly layer: AdapterLayer; readonly mix: RowMix } {
  const mix = sortingMix(layer, rank);
  return { layer: { ...layer, a: mixRows(mix.ofA, layer.a), b: mixRows(mix.ofB, layer.b) }, mix };
}

function sortingMix({ a, b, inFeatures }: AdapterLayer, rank: number): RowMix {
  const { r: upper } = orthonormalRows(a, rank, inFeatures); // Lᵀ
  const { v: vectors } = smallSvd(gramOf(mixRows(upper, b), rank), rank);
  const norm = Math.sqrt(a.reduce((sum, value) => sum + value * value, 0) / rank);
  const ofA = new Float64Array(rank * rank);
  const ofB = new Float64Array(rank * rank);
  for (let k = 0; k < rank; k++) {
    const vector = Float64Array.from({ length: rank }, (_, i) => vectors[i * rank + k]);
    const solved = solveTriangular(upper, vector);
    for (let j = 0; j < rank; j++) {
      ofA[k * rank + j] = norm * solved[j];
      let sum = 0;
      for (let i = 0; i < rank; i++) {
        sum += vector[i] * upper[i * rank + j];
      }
      ofB[k * rank + j] = norm > 0 ? sum / norm : 0;
    }
  }
  return { ofA, ofB };
}

/** rows · rowsᵀ.  rows: [rank, width]  →  [rank, rank] */
function gramOf(rows: Float32Array, rank: number): Float64Array {
  const width = rows.length / rank;
  const gram = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++)
    for (let k = 0; k <= i; k++) {
      let sum = 0;
      for (let j = 0; j < width; j++) {
        sum += rows[i * width + j] * rows[k * width + j];
      }
      gram[i * rank + k] = sum;
      gram[k * rank + i] = sum;
    }
  return gram;
}

/** x with x·L = y, where `upper` is Lᵀ, from the last entry on; 0 if L has no pivot there.  upper: [n, n] */
function solveTriangular(upper: Float64Array, y: Float64Array): Float64Array {
  const n = y.length;
  const x = new Float64Array(n);
  for (let j = n - 1; j >= 0; j--) {
    const pivot = upper[j * n + j];
    if (pivot === 0) continue;
    let sum = y[j];
    for (let i = j + 1; i < n; i++) {
      sum -= x[i] * upper[j * n + i];
    }
    x[j] = sum / pivot;
  }
  return x;
}
