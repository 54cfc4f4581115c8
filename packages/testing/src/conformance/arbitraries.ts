import fc from 'fast-check';
import {
  hostData,
  createRng,
  elementCount,
  narrowHalves,
  viewOf,
  type ArrayView,
  type FloatDType,
  type FloatView,
  type HalfDType,
  type Shape,
} from '@qdylora/contract';

/** Seed of the numbers of a case: one integer shrinks better than a thousand floats. */
export const arbitrarySeed = fc.integer({ min: 0, max: 2 ** 31 - 1 });

/** A size that is often an edge: 0, 1, just around a multiple of a vector, and now and then more. */
export const arbitrarySize = (max: number): fc.Arbitrary<number> =>
  fc.oneof(
    fc.constantFrom(...[0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65].filter((n) => n <= max)),
    fc.integer({ min: 0, max }),
  );

/** Standard normal float32 numbers, a pure function of (seed, name). */
export function normalView(seed: number, name: string, shape: Shape, scale = 1): ArrayView<'f32'> {
  const rng = createRng(seed).named(name);
  return viewOf(
    'f32',
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => rng.normal(i) * scale),
  );
}

/** The same in a type of two bytes. */
export const normalHalfView = <D extends HalfDType>(
  dtype: D,
  seed: number,
  name: string,
  shape: Shape,
): ArrayView<D> =>
  viewOf(dtype, shape, narrowHalves(dtype, hostData(normalView(seed, name, shape))) as never);

/** The same in bfloat16. */
export const normalBfloat16View = (seed: number, name: string, shape: Shape): ArrayView<'bf16'> =>
  normalHalfView('bf16', seed, name, shape);

/** The same in any floating point type. */
export const normalFloatView = (dtype: FloatDType, seed: number, name: string, shape: Shape): FloatView =>
  dtype === 'f32' ? normalView(seed, name, shape) : normalHalfView(dtype, seed, name, shape);
