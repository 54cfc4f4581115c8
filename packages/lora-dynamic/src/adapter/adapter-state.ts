import { assertArgument, shownValue } from '@qdylora/contract';
import { rankSet } from '../ranks/rank-set.ts';
import type { RankScaling } from '../ranks/scaling.ts';

/** One layer's adapter.  a: [rank, in]  b: [rank, out] (lora_B transposed) */
export interface AdapterLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** A nested adapter at full rank, in host memory. */
export interface AdapterState {
  readonly ranks: readonly number[];
  readonly maxRank: number;
  readonly alpha: number;
  readonly scaling: RankScaling;
  readonly layers: readonly AdapterLayer[];
}

/**
 * Refuses a rank that the adapter does not have, and a value that is not a state, such as the promise of one.
 *
 * @throws QdyloraError BAD_ARGUMENT
 */
export function assertRankOfState(state: AdapterState, rank: number): void {
  assertArgument(
    Array.isArray((state as Partial<AdapterState> | null | undefined)?.layers),
    'adapter state',
    `the first argument must be the state of an adapter (got ${shownValue(state)})`,
    'Pass await adapted.state().',
  );
  rankSet(state.ranks).assertUsable(rank);
}
