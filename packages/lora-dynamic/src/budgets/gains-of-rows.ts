import { QdyloraError } from '@qdylora/contract';
import type { AdapterState } from '../adapter/adapter-state.ts';
import { scaleAt } from '../ranks/scaling.ts';
import type { RankedLayer } from './allocate-ranks.ts';

/**
 * The Fisher information of factors on the rows of each layer's adapter, by the name of the layer: the sum
 * over examples of q·qᵀ, where q[k] is the derivative of the example's loss by a factor on row k:
 * [maxRank, maxRank].
 */
export type RowFisher = ReadonlyMap<string, Float64Array>;

/**
 * Estimates what each row of an adapter is worth: by how much the loss falls when a layer's rank rises by
 * one. The rows stay in the order that they have, and each rank has its own scale s.
 *
 * A cut at rank k changes the factors of the rows by c: c[i] = 1 − s(k)/s(maxRank) for i < k, 1 for the
 * others. With the Fisher information F in place of the second derivatives, the loss rises by ½·cᵀ·F·c
 * (Theis et al. 2018, arXiv 1801.05787). Of these rises the lower convex hull over k counts, so gains never
 * rise within a layer, as `allocateRanks` needs it. Rows that are worth something only together share their
 * gain evenly.
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
 * ½·cᵀ·F·c of the cut at each rank k, where the first k rows keep the share `kept[k]` of their factor, and
 * the others nothing: [maxRank + 1]
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
    const row = rank - 1; // is cut off next
    const pairs = fisher.subarray(row * maxRank, rank * maxRank); // F is symmetric
    const own = pairs[row];
    const withKept = total(pairs.subarray(0, row));
    const withCut = total(pairs.subarray(rank));
    both -= own + 2 * withKept;
    one += withKept - withCut;
    none += own + 2 * withCut;
  }
  return rises;
}

const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);

/** By how much the lower convex hull of `values` falls from one to the next, never rising: [values − 1] */
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

/** Where values fall fastest to from `from`, as a mean over the steps to it; of equal ones the last. */
function steepestFall(values: Float64Array, from: number): { readonly to: number; readonly fall: number } {
  let steepest = { to: from, fall: -Infinity };
  for (let to = from + 1; to < values.length; to++) {
    const fall = (values[from] - values[to]) / (to - from);
    if (fall >= steepest.fall) steepest = { to, fall };
  }
  return steepest;
}
