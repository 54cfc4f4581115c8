import {
  hostData,
  assertShape,
  defineOp,
  elementCount,
  f32Array,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
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
    for (let i = 0; i < elementCount(y.shape); i++) hostData(y)[i] = hostData(x)[i] * hostData(factor)[0];
  },
});

/** The factor is a constant: only x gets a gradient. */
export const differentiableScaleBy: DifferentiableOp<typeof scaleBy> = {
  op: scaleBy,
  backward: ({ run, inputs, gradients, spare }) => ({
    x: run(scaleBy, { x: gradients.y, factor: inputs.factor }, {}, { y: spare('y') }).y,
  }),
};
