import type { ArrayView, Rng } from '@qdylora/contract';

/** A ~ U(±1/√in), B = 0, as PEFT's default (Kaiming with a = √5): independent of the rank, so a prefix is distributed like a fresh smaller adapter.  a: [maxRank, in]  b: [maxRank, out] */
export function initializeAdapter(a: ArrayView<'f32'>, b: ArrayView<'f32'>, rng: Rng): void {
  const bound = 1 / Math.sqrt(a.shape[1]!);
  for (let i = 0; i < a.data.length; i++) a.data[i] = (2 * rng.uniform(i) - 1) * bound;
  b.data.fill(0);
}
