import {
  hostData,
  assertDtype,
  assertShape,
  defineOp,
  elementCount,
  floatArray,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import { activationFunction } from './activation-function.ts';
import type { ActivationAttributes } from './activation.ts';

/**
 * y = f(gate) · up, with f named by `kind`: SwiGLU for `silu`, GeGLU for `gelu` (Shazeer 2020).
 *
 * gate, up: [tokens, width], both of one float type   →   y: as gate
 */
export const activationGate = defineOp({
  name: 'activation-gate',
  takes: { gate: floatArray(null), up: floatArray(null) },
  halves: ['gate', 'up', 'y'],
  shapes(i: { gate: FloatView; up: FloatView }, { kind }: ActivationAttributes) {
    assertShape('activation-gate', 'up', i.up.shape, i.gate.shape);
    assertDtype('activation-gate', 'up', i.up, i.gate.dtype);
    activationFunction(kind);
    return { y: { dtype: i.gate.dtype, shape: i.gate.shape } };
  },
  reference({ gate, up }, { y }: { y: FloatView }, { kind }) {
    const gateData = hostData(gate);
    const upData = hostData(up);
    const yData = hostData(y);
    const { value } = activationFunction(kind);
    for (let i = 0; i < elementCount(y.shape); i++) yData[i] = value(gateData[i]) * upData[i];
  },
});

/**
 * dUp = dy · f(gate),   dGate = dy · up · f′(gate)
 *
 * dGate may be the array of dy, and dUp the array of up.
 */
export const activationGateBackward = defineOp({
  name: 'activation-gate-backward',
  takes: { gate: floatArray(null), up: floatArray(null), dy: floatArray(null) },
  halves: ['gate', 'up', 'dy', 'dGate', 'dUp'],
  overwrites: { dGate: ['dy'], dUp: ['up'] },
  shapes(i: { gate: FloatView; up: FloatView; dy: FloatView }, { kind }: ActivationAttributes) {
    for (const name of ['up', 'dy'] as const) {
      assertShape('activation-gate-backward', name, i[name].shape, i.gate.shape);
      assertDtype('activation-gate-backward', name, i[name], i.gate.dtype);
    }
    activationFunction(kind);
    return {
      dGate: { dtype: i.gate.dtype, shape: i.gate.shape },
      dUp: { dtype: i.gate.dtype, shape: i.gate.shape },
    };
  },
  reference({ gate, up, dy }, { dGate, dUp }: { dGate: FloatView; dUp: FloatView }, { kind }) {
    const gateData = hostData(gate);
    const upData = hostData(up);
    const dyData = hostData(dy);
    const dGateData = hostData(dGate);
    const dUpData = hostData(dUp);
    const { value, slope } = activationFunction(kind);
    for (let i = 0; i < elementCount(dGate.shape); i++) {
      const g = gateData[i];
      const d = dyData[i];
      dGateData[i] = d * upData[i] * slope(g);
      dUpData[i] = d * value(g);
    }
  },
});

/** `activationGate` with its gradients: those of gate and up. */
export const differentiableActivationGate: DifferentiableOp<typeof activationGate> = {
  op: activationGate,
  backward({ run, inputs, gradients, attributes, spare, take }) {
    const { dGate, dUp } = run(activationGateBackward, { dy: gradients.y, ...inputs }, attributes, {
      dGate: spare('y'),
      dUp: take('up'),
    });
    return { gate: dGate, up: dUp };
  },
};
