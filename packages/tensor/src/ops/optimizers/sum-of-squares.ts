import { hostData, defineOp, f32Array, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/**
 * sum = Σ x², summed in float64 before the one rounding; infinite or NaN as soon as an entry is. x: any shape
 * → sum: [1]
 */
export const sumOfSquares = defineOp({
  name: 'sum-of-squares',
  takes: { x: f32Array(null) },
  shapes: (_: { x: F32 }, __: Record<string, never>) => ({ sum: { dtype: 'f32', shape: [1] } }),
  reference({ x }, { sum }: { sum: F32 }) {
    let total = 0;
    for (const value of hostData(x)) total += value ** 2;
    hostData(sum)[0] = total;
  },
});
