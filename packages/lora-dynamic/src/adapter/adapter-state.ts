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
