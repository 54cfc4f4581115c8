import { QdyloraError } from '@qdylora/contract';
import type { AdapterState } from '../adapter/adapter-state.ts';
import { scaleAt } from '../ranks/scaling.ts';
import type { RankedLayer } from './allocate-ranks.ts';

/**
 * Fisher information of each layer's adapter rows, by layer name: [maxRank, maxRank], row-major.
 *
 * Multiply row k of B by a factor f[k], which is 1 in the trained adapter, and let q[k] = ∂loss/∂f[k] for one
 * example. The matrix is Σ over examples of q·qᵀ.
 */
export type RowFisher = ReadonlyMap<string, Float64Array>;

/**
 * Estimates, for each layer and rank, how much the loss falls when the layer's rank rises by one. Rows keep
 * their order. Each rank has its own scale s.
 *
 * A cut at rank k lowers the factor of row i by c[i] = 1 − s(k)/s(maxRank) for i < k, and by 1 for later
 * rows. With the Fisher matrix F in place of the Hessian, the loss rises by ½·cᵀ·F·c (Theis et al. 2018,
 * arXiv 1801.05787). Gains are the steps of the lower convex hull of these rises over k, so they never
 * increase within a layer, as `allocateRanks` requires. Rows that help only together share their gain evenly.
 *
 * @throws QdyloraError BAD_ARGUMENT for a Fisher matrix that is missing or not finite
 * @returns the layers in their order; gains: [maxRank], in the unit of the loss
 * @example
 * const layers = gainsOfRows(state, await fisherOfRows(adapted, batches));
 * const ranks = allocateRanks(layers, 5_000_000);
 */
export function gainsOfRows(state: AdapterState, fisher: RowFisher): RankedLayer[] {
  const { scaling, alpha, maxRank } = state;
  const scaleOf = (rank: number): number => scaleAt(scaling, alpha, rank, maxRank);
  const kept = Float64Array.from({ length: maxRank + 1 }, (_, rank) =>
    rank === 0 ? 0 : scaleOf(rank) / scaleOf(maxRank),
  );
  return state.layers.map(({ name, inFeatures, outFeatures }) => ({
    name,
    inFeatures,
    outFeatures,
    gains: fallsAlongHull(risesOfCuts(finiteFisher(fisher, name), kept)),
  }));
}

/** @throws QdyloraError BAD_ARGUMENT for a layer without numbers, or with NaN or infinity */
function finiteFisher(fisher: RowFisher, name: string): Float64Array {
  const ofLayer = fisher.get(name);
  if (ofLayer?.every(Number.isFinite)) return ofLayer;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'gainsOfRows',
    problem: `The Fisher information of ${name} is missing, or has numbers that are not finite`,
    nextStep: 'Compute it with fisherOfRows, for the same adapter.',
  });
}

/**
 * The loss rise ½·cᵀ·F·c of a cut at each rank k: [maxRank + 1]. The first k rows keep the share `kept[k]` of
 * their factor, later rows nothing.
 */
function risesOfCuts(fisher: Float64Array, kept: Float64Array): Float64Array {
  const maxRank = kept.length - 1;
  const rises = new Float64Array(maxRank + 1);
  // sums of F over pairs of rows: both kept, one kept, none kept
  let both = total(fisher);
  let one = 0;
  let none = 0;
  for (let rank = maxRank; rank >= 0; rank--) {
    const change = 1 - kept[rank];
    rises[rank] = (change * change * both + 2 * change * one + none) / 2;
    if (rank === 0) break;
    const row = rank - 1; // the next row to cut off
    const pairs = fisher.subarray(row * maxRank, rank * maxRank); // F is symmetric
    const diagonal = pairs[row];
    const withKept = total(pairs.subarray(0, row));
    const withCut = total(pairs.subarray(rank));
    both -= diagonal + 2 * withKept;
    one += withKept - withCut;
    none += diagonal + 2 * withCut;
  }
  return rises;
}

const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);

/**
 * Decreases of the lower convex hull of `values` from each entry to the next, non-increasing: [values − 1]
 */
function fallsAlongHull(values: Float64Array): Float64Array {
  const falls = new Float64Array(values.length - 1);
  let from = 0;
  while (from < falls.length) {
    const { to, fall } = steepestFall(values, from);
    falls.fill(fall, from, to);
    from = to;
  }
  return falls;
}

/** The later index with the steepest mean decrease from `from`; the last one on a tie. */
function steepestFall(values: Float64Array, from: number): { readonly to: number; readonly fall: number } {
  let steepest = { to: from, fall: -Infinity };
  for (let to = from + 1; to < values.length; to++) {
    const fall = (values[from] - values[to]) / (to - from);
    if (fall >= steepest.fall) steepest = { to, fall };
  }
  return steepest;
}
