import { createRng, elementCount, f32View, type ArrayView } from '@qdylora/contract';

/** A repeatable stream of numbers in [−1, 1) from a seed, for arrays whose size the test decides. */
export function seededNumbers(seed: number): () => number {
  const rng = createRng(seed);
  let drawn = 0;
  return () => 2 * rng.uniform(drawn++) - 1;
}

/** Random float32 numbers in [−scale, scale) of a shape. */
export function randomF32(shape: readonly number[], next: () => number, scale = 1): ArrayView<'f32'> {
  return f32View(
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => next() * scale),
  );
}
