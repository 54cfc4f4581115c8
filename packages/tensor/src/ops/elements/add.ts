import {
  hostData,
  assertShape,
  defineOp,
  elementCount,
  f32Array,
  floatArray,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;

/** y = a + b, the residual sum.  a, b: same shape → y: as a; may be the array of a or b */
export const add = defineOp({
  name: 'add',
  takes: { a: f32Array(null), b: f32Array(null) },
  overwrites: { y: ['a', 'b'] },
  shapes(i: { a: FloatView; b: FloatView }, _: Record<string, never>) {
    assertShape('add', 'b', i.b.shape, i.a.shape);
    return { y: { dtype: 'f32', shape: i.a.shape } };
  },
  reference({ a, b }, { y }: { y: F32 }) {
    const aData = hostData(a);
    const bData = hostData(b);
    const yData = hostData(y);
    for (let i = 0; i < elementCount(y.shape); i++) yData[i] = aData[i] + bData[i];
  },
});

/** sum += x, for gradients of a value with several users.  x: any shape, f32, bf16 or f16 → sum: as x */
export const addInto = defineOp({
  name: 'add-into',
  takes: { x: floatArray(null) },
  updates: ['sum'],
  halves: ['x', 'sum'],
  shapes: (i: { x: FloatView }, _: Record<string, never>) => ({
    sum: { dtype: i.x.dtype, shape: i.x.shape },
  }),
  reference({ x }, { sum }: { sum: FloatView }) {
    const xData = hostData(x);
    const sumData = hostData(sum);
    for (let i = 0; i < elementCount(x.shape); i++) sumData[i] += xData[i];
  },
});

/** `add` with its gradients: da = db = dy. */
export const differentiableAdd: DifferentiableOp<typeof add> = {
  op: add,
  readsNoInput: true,
  backward: ({ gradients }) => ({ a: gradients.y, b: gradients.y }),
};
