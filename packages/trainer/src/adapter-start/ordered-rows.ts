import type { Rng } from '@qdylora/contract';
import type { DyLoraLinear, RowSpace } from '@qdylora/lora-dynamic';

/** Root mean square norm of a row of A ~ U(±1/√in): √(in · 1/(3·in)). */
export const KAIMING_ROW_NORM = 1 / Math.sqrt(3);

/** Gaussian rows with a norm of about 1: [maxRank, in] */
export function randomRows({ a: { view }, inFeatures }: DyLoraLinear, rng: Rng): Float32Array {
  const scale = 1 / Math.sqrt(inFeatures);
  return Float32Array.from({ length: view.shape[0] * inFeatures }, (_, i) => scale * rng.normal(i));
}

/** The vectors of a row space with the norm `rowNorm`; random rows beyond its rank. */
export function orderedRows(
  { values, vectors }: RowSpace,
  random: Float32Array,
  rowNorm: number,
): Float32Array {
  const width = vectors.length / values.length;
  return Float32Array.from(vectors, (value, i) => {
    const hasDirection = values[Math.floor(i / width)] > 0;
    return rowNorm * (hasDirection ? value : random[i]);
  });
}
