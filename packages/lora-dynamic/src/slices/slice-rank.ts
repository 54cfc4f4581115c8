import { QdyloraError } from '@qdylora/contract';
import { assertRankOfState, type AdapterLayer, type AdapterState } from '../adapter/adapter-state.ts';
import { peftScaling, scaleAt } from '../ranks/scaling.ts';

/** One layer of a plain LoRA adapter, in the shapes of PEFT.  a: [rank, in]  b: [out, rank] */
export interface SlicedLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/**
 * A plain LoRA adapter. `scale` is the factor on B·A; `loraAlpha` and `useRslora` give the same factor in
 * PEFT.
 */
export interface SlicedAdapter {
  readonly rank: number;
  readonly scale: number;
  readonly loraAlpha: number;
  readonly useRslora: boolean;
  readonly layers: readonly SlicedLayer[];
}

/**
 * Cuts a nested adapter at rank r: rows 0 … r−1 of A and B, as a plain LoRA adapter. It computes exactly what
 * training computed at that rank.
 *
 * @throws QdyloraError BAD_ARGUMENT unless `state` is an adapter state and 1 ≤ rank ≤ maxRank
 * @example
 * const slice = sliceRank(await adapted.state(), 8);
 * slice.layers[0].a.length; // 8 · in
 */
export function sliceRank(state: AdapterState, rank: number): SlicedAdapter {
  assertRankOfState(state, rank);
  const { scaling, alpha, maxRank } = state;
  return {
    rank,
    scale: scaleAt(scaling, alpha, rank, maxRank),
    ...peftScaling(scaling, alpha, rank, maxRank),
    layers: state.layers.map((layer) => sliceLayer(layer, rank)),
  };
}

/** Cuts one layer at a rank that has been checked. */
export const sliceLayer = (
  { name, inFeatures, outFeatures, a, b }: AdapterLayer,
  rank: number,
): SlicedLayer => ({
  name,
  inFeatures,
  outFeatures,
  a: a.slice(0, rank * inFeatures),
  b: transposed(b, rank, outFeatures), // the layout of PEFT
});

/**
 * The adapter state of a plain LoRA adapter, as the full rank of a nested one.  @throws QdyloraError
 * BAD_ADAPTER if the size of a layer does not fit its rank
 */
export function adapterStateOf(
  sliced: SlicedAdapter,
  nest: Omit<AdapterState, 'layers' | 'maxRank'>,
): AdapterState {
  const { rank } = sliced;
  return {
    ...nest,
    maxRank: rank,
    layers: sliced.layers.map(({ name, inFeatures, outFeatures, a, b }) => {
      if (a.length !== rank * inFeatures || b.length !== rank * outFeatures) {
        throw new QdyloraError('BAD_ADAPTER', {
          where: name,
          problem: `every layer of a nested adapter must have rank ${rank} (got ${a.length / inFeatures})`,
        });
      }
      return { name, inFeatures, outFeatures, a, b: transposed(b, outFeatures, rank) };
    }),
  };
}

/** The first rows of a matrix as columns: [≥ rows, width] → [width, rows], into `out` if it is present. */
export function transposed(
  matrix: Float32Array,
  rows: number,
  width: number,
  out: Float32Array = new Float32Array(width * rows),
): Float32Array {
  for (let i = 0; i < rows; i++) for (let j = 0; j < width; j++) out[j * rows + i] = matrix[i * width + j];
  return out;
}
