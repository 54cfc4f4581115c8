import { assertRankOfState, type AdapterState } from '../adapter/adapter-state.ts';
import type { RankScaling } from '../ranks/scaling.ts';

/**
 * Cuts a nested adapter at rank r and keeps it nested: rows 0 … r−1 of A and B, and the ranks up to r. At
 * every rank ≤ r the result computes what the whole adapter computes, so it can be trained further.
 *
 * @throws QdyloraError BAD_ARGUMENT unless `state` is an adapter state and 1 ≤ rank ≤ maxRank
 * @example
 * const slice = sliceState(await adapted.state(), 8); // ranks [1, 2, 4, 8] of [1, 2, 4, … 64]
 */
export function sliceState(state: AdapterState, rank: number): AdapterState {
  assertRankOfState(state, rank);
  const { ranks, maxRank, scaling, alpha } = state;
  return {
    ranks: [...ranks.filter((smaller) => smaller < rank), rank],
    maxRank: rank,
    scaling,
    alpha: slicedAlpha({ scaling, alpha, maxRank }, rank),
    layers: state.layers.map((layer) => ({
      ...layer,
      a: layer.a.slice(0, rank * layer.inFeatures),
      b: layer.b.slice(0, rank * layer.outFeatures),
    })),
  };
}

/**
 * The alpha of a slice at rank r of R. Scaling `constant` divides by the largest rank, which becomes r, so
 * alpha becomes alpha·r / R; the other scalings depend on the active rank only.
 */
export const slicedAlpha = (
  { scaling, alpha, maxRank }: { scaling: RankScaling; alpha: number; maxRank: number },
  rank: number,
): number => (scaling === 'constant' ? (alpha * rank) / maxRank : alpha);
