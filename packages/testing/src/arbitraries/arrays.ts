import {
  contiguousStrides,
  createRng,
  elementCount,
  f32View,
  viewOf,
  type ArrayView,
} from '@qdylora/contract';

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

/**
 * The same numbers, laid out with gaps (NaN between rows and entries), so that a reader who ignores strides
 * is caught.
 */
export function withStrides(view: ArrayView<'f32'>, gap: number): ArrayView<'f32'> {
  const inner = view.shape.map((size) => size + gap);
  const strides = contiguousStrides(inner);
  const data = new Float32Array(elementCount(inner)).fill(NaN);
  const at = new Array<number>(view.shape.length).fill(0);
  for (let i = 0; i < elementCount(view.shape); i++) {
    data[at.reduce((offset, index, axis) => offset + index * strides[axis]!, 0)] = view.data[i]!;
    for (let axis = view.shape.length - 1; axis >= 0 && ++at[axis]! === view.shape[axis]; axis--)
      at[axis] = 0;
  }
  return { ...viewOf('f32', view.shape, data), strides };
}
