import { elementCount, assertShape, defineOp, type ArrayView } from '@qdylora/contract';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;

/** y = a + b, the residual sum.  a, b: same shape  →  y; it may be the array of a or b */
export const add = defineOp({
  name: 'add',
  overwrites: { y: ['a', 'b'] },
  shapes(i: { a: F32; b: F32 }, _: Record<string, never>) {
    assertShape('add', 'b', i.b.shape, i.a.shape);
    return { y: { dtype: 'f32', shape: i.a.shape } };
  },
  reference({ a, b }, { y }: { y: F32 }) {
    for (let i = 0; i < elementCount(y.shape); i++) y.data[i] = a.data[i]! + b.data[i]!;
  },
});

/** sum += x: how gradients of a value with several users come together.  x: any shape  →  sum: as x */
export const addInto = defineOp({
  name: 'add-into',
  accumulates: ['sum'],
  shapes: (i: { x: F32 }, _: Record<string, never>) => ({ sum: { dtype: 'f32', shape: i.x.shape } }),
  reference({ x }, { sum }: { sum: F32 }) {
    for (let i = 0; i < elementCount(x.shape); i++) sum.data[i]! += x.data[i]!;
  },
});

export const differentiableAdd: DifferentiableOp<typeof add> = { op: add, readsNoInput: true, backward: ({ gradients }) => ({ a: gradients.y, b: gradients.y }) };
