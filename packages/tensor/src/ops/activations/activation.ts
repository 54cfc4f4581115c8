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
import { activationFunction, type ActivationKind } from './activation-function.ts';

type F32 = ArrayView<'f32'>;
/** Attributes of `activation` and `activationGate`: the function f. */
export interface ActivationAttributes {
  readonly kind: ActivationKind;
}

/** y = f(x), with f named by `kind`: the nonlinearity of an MLP without a gate.  x: any shape → y: as x */
export const activation = defineOp({
  name: 'activation',
  takes: { x: f32Array(null) },
  shapes(i: { x: FloatView }, { kind }: ActivationAttributes) {
    activationFunction(kind);
    return { y: { dtype: 'f32', shape: i.x.shape } };
  },
  reference({ x }, { y }: { y: F32 }, { kind }) {
    const xData = hostData(x);
    const yData = hostData(y);
    const { value } = activationFunction(kind);
    for (let i = 0; i < elementCount(y.shape); i++) yData[i] = value(xData[i]);
  },
});

/** dx = dy · f′(x).  dx may be the array of dy. */
export const activationBackward = defineOp({
  name: 'activation-backward',
  takes: { x: f32Array(null), dy: f32Array(null) },
  overwrites: { dx: ['dy'] },
  shapes(i: { x: FloatView; dy: F32 }, { kind }: ActivationAttributes) {
    assertShape('activation-backward', 'dy', i.dy.shape, i.x.shape);
    activationFunction(kind);
    return { dx: { dtype: 'f32', shape: i.x.shape } };
  },
  reference({ x, dy }, { dx }: { dx: F32 }, { kind }) {
    const xData = hostData(x);
    const dyData = hostData(dy);
    const dxData = hostData(dx);
    const { slope } = activationFunction(kind);
    for (let i = 0; i < elementCount(dx.shape); i++) dxData[i] = dyData[i] * slope(xData[i]);
  },
});

/** `activation` with its gradient: dx = dy · f′(x). */
export const differentiableActivation: DifferentiableOp<typeof activation> = {
  op: activation,
  backward: ({ run, inputs, gradients, attributes, spare }) => ({
    x: run(activationBackward, { dy: gradients.y, ...inputs }, attributes, { dx: spare('y') }).dx,
  }),
};
