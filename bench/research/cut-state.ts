import {
  adapterStateOf,
  scaleAt,
  sortByMoments,
  truncateBySvd,
  type Adapted,
  type AdapterLayer,
  type AdapterState,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { inputMoments } from './input-moments.ts';
import type { Cut } from './job.ts';
import type { Setting } from './setting.ts';

/**
 * The adapter at its largest rank, with rows ordered so that the first b rows are its cut at rank b. The
 * scale is folded in, so every rank has scale 1.
 */
export async function cutState(
  setting: Setting,
  adapted: Adapted<CausalLm>,
  cut: Cut,
): Promise<AdapterState> {
  const state = await adapted.state();
  const { ranks, maxRank, alpha, scaling } = state;
  const unscaled = { ranks, maxRank, alpha: 1, scaling: 'uniform' } as const;
  switch (cut) {
    case 'prefix': {
      const scale = scaleAt(scaling, alpha, maxRank, maxRank);
      const layers = state.layers.map((layer) => ({ ...layer, b: layer.b.map((value) => scale * value) }));
      return { ...unscaled, layers };
    }
    case 'energy':
      return adapterStateOf(truncateBySvd(state, maxRank), unscaled);
    case 'moments':
      return { ...unscaled, layers: sortByMoments(state, await inputMoments(setting, adapted)) };
  }
}

/**
 * The cut at a rank, as the start of a run with this alpha and scaling. Row k of A and row k of B get the
 * same norm, and scale·B·A stays unchanged.
 */
export function cutAt(
  { layers }: AdapterState,
  rank: number,
  { alpha, scaling }: Pick<AdapterState, 'alpha' | 'scaling'>,
): AdapterState {
  const scale = scaleAt(scaling, alpha, rank, rank);
  return {
    ranks: [rank],
    maxRank: rank,
    alpha,
    scaling,
    layers: layers.map((layer) => balanced(layer, rank, scale)),
  };
}

function balanced(layer: AdapterLayer, rank: number, scale: number): AdapterLayer {
  const { inFeatures, outFeatures } = layer;
  const a = layer.a.slice(0, rank * inFeatures);
  const b = layer.b.slice(0, rank * outFeatures);
  for (let k = 0; k < rank; k++) {
    const rowOfA = a.subarray(k * inFeatures, (k + 1) * inFeatures);
    const rowOfB = b.subarray(k * outFeatures, (k + 1) * outFeatures);
    const [normA, normB] = [norm(rowOfA), norm(rowOfB)];
    if (normA === 0 || normB === 0) continue;
    const rowNorm = Math.sqrt((normA * normB) / scale);
    multiply(rowOfA, rowNorm / normA);
    multiply(rowOfB, rowNorm / normB);
  }
  return { ...layer, a, b };
}

const norm = (row: Float32Array): number => Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));

function multiply(row: Float32Array, factor: number): void {
  row.forEach((value, i) => {
    row[i] = factor * value;
  });
}
