import type { ArrayView, Memory, Rng } from '@qdylora/contract';

/**
 * A ~ U(±1/√in), B = 0: the default of PEFT (Kaiming with a = √5). It does not depend on the rank, so a
 * prefix is distributed like a new, smaller adapter.
 *
 * a: [maxRank, in]   b: [maxRank, out]
 */
export function initializeAdapter(
  memory: Memory,
  { a, b }: { readonly a: ArrayView<'f32'>; readonly b: ArrayView<'f32'> },
  rng: Rng,
): void {
  const bound = 1 / Math.sqrt(a.shape[1]);
  memory.fill(a, (values) => {
    for (let i = 0; i < values.length; i++) values[i] = (2 * rng.uniform(i) - 1) * bound;
  });
  memory.fill(b, (values) => {
    values.fill(0);
  });
}
