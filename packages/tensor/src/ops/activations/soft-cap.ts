import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  elementCount,
  f32Array,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;
/** Attributes of `softCap`: the bound of its results. */
export interface SoftCapAttributes {
  /** A finite number > 0. */
  readonly cap: number;
}

/** y = cap · tanh(x / cap): logits within ±cap (Gemma 2).  x: any shape → y: as x; may be the array of x */
export const softCap = defineOp({
  name: 'soft-cap',
  takes: { x: f32Array(null) },
  overwrites: { y: ['x'] },
  shapes(i: { x: FloatView }, { cap }: SoftCapAttributes) {
    assertCap('soft-cap', cap);
    return { y: { dtype: 'f32', shape: i.x.shape } };
  },
  reference({ x }, { y }: { y: F32 }, { cap }) {
    const xData = hostData(x);
    const yData = hostData(y);
    for (let i = 0; i < elementCount(y.shape); i++) yData[i] = cap * Math.tanh(xData[i] / cap);
  },
});

function assertCap(where: string, cap: number): void {
  if (!(cap > 0 && cap < Infinity)) throw badArgument(where, `cap must be a finite number > 0 (got ${cap})`);
}

/** dx = dy · (1 − (y / cap)²).  y, dy: any shape → dx: as dy; may be the array of dy */
export const softCapBackward = defineOp({
  name: 'soft-cap-backward',
  takes: { y: f32Array(null), dy: f32Array(null) },
  overwrites: { dx: ['dy'] },
  shapes(i: { y: F32; dy: F32 }, { cap }: SoftCapAttributes) {
    assertCap('soft-cap-backward', cap);
    assertShape('soft-cap-backward', 'y', i.y.shape, i.dy.shape);
    return { dx: { dtype: 'f32', shape: i.dy.shape } };
  },
  reference({ y, dy }, { dx }: { dx: F32 }, { cap }) {
    const yData = hostData(y);
    const dyData = hostData(dy);
    const dxData = hostData(dx);
    for (let i = 0; i < elementCount(dx.shape); i++) dxData[i] = dyData[i] * (1 - (yData[i] / cap) ** 2);
  },
});

/** `softCap` with its gradient: dx = dy · (1 − (y / cap)²). */
export const differentiableSoftCap: DifferentiableOp<typeof softCap> = {
  op: softCap,
  usesOutputs: ['y'],
  backward: ({ run, outputs, gradients, attributes, spare }) => ({
    x: run(softCapBackward, { y: outputs.y, dy: gradients.y }, attributes, { dx: spare('y') }).dx,
  }),
};
