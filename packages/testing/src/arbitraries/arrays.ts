import { contiguousStrides, elementCount, f32View, viewOf, type ArrayView } from '@qdylora/contract';
import fc from 'fast-check';

/** A repeatable stream of numbers in [−1, 1) from a seed, for arrays whose size the test decides (mulberry32). */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * 2 - 1;
  };
}

/** Random float32 numbers in [−scale, scale) of a shape. */
export function randomF32(shape: readonly number[], next: () => number, scale = 1): ArrayView<'f32'> {
  return f32View(shape, Float32Array.from({ length: elementCount(shape) }, () => next() * scale));
}

/** The same numbers, laid out with gaps (NaN between rows and entries), so that a reader who ignores strides is caught. */
export function withStrides(view: ArrayView<'f32'>, gap: number): ArrayView<'f32'> {
  const inner = view.shape.map((size) => size + gap), strides = contiguousStrides(inner);
  const data = new Float32Array(elementCount(inner)).fill(NaN), at = new Array<number>(view.shape.length).fill(0);
  for (let i = 0; i < elementCount(view.shape); i++) {
    data[at.reduce((offset, index, axis) => offset + index * strides[axis]!, 0)] = view.data[i]!;
    for (let axis = view.shape.length - 1; axis >= 0 && ++at[axis]! === view.shape[axis]; axis--) at[axis] = 0;
  }
  return { ...viewOf('f32', view.shape, data), strides };
}

/** Sizes that find edges: 0, 1, one off a vector or tile, and odd ones between. */
export const edgySize = (max = 70): fc.Arbitrary<number> =>
  fc.oneof(fc.constantFrom(...[0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65].filter((size) => size <= max)), fc.integer({ min: 0, max }));

/** A seed for `seededNumbers`; printed when a property fails. */
export const seeds = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** 31 - 1 });
