import { hostData, assertShape, defineOp, f32Array, type ArrayView, type FloatView } from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;

/** y = x · factor.  x: any shape   factor: [1]   →   y: as x; may be the array of x */
export const scaleBy = defineOp({
  name: 'scale-by',
  takes: { x: f32Array(null), factor: f32Array(1) },
  overwrites: { y: ['x'] },
  shapes(i: { x: FloatView; factor: F32 }, _: Record<string, never>) {
    assertShape('scale-by', 'factor', i.factor.shape, [1]);
    return { y: { dtype: 'f32', shape: i.x.shape } };
  },
  reference({ x, factor }, { y }: { y: F32 }) {
    const values = hostData(x);
    const results = hostData(y);
    const [scale] = hostData(factor);
    for (let i = 0; i < results.length; i++) results[i] = values[i] * scale;
  },
});

/** The factor is a constant: only x gets a gradient. */
export const differentiableScaleBy: DifferentiableOp<typeof scaleBy> = {
  op: scaleBy,
  backward: ({ run, inputs, gradients, spare }) => ({
    x: run(scaleBy, { x: gradients.y, factor: inputs.factor }, {}, { y: spare('y') }).y,
  }),
};
