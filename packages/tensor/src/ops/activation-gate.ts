import { elementCount, assertShape, defineOp, type ArrayView } from '@qdylora/contract';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';
import { activationFunction } from './activation-function.ts';
import type { ActivationAttributes } from './activation.ts';

type F32 = ArrayView<'f32'>;

/** y = f(gate) · up, f named by `kind`: SwiGLU with `silu`, GeGLU with `gelu`.  gate, up: [tokens, width]  →  y: [tokens, width]  (Shazeer 2020) */
export const activationGate = defineOp({
  name: 'activation-gate',
  shapes(i: { gate: F32; up: F32 }, { kind }: ActivationAttributes) {
    assertShape('activation-gate', 'up', i.up.shape, i.gate.shape);
    activationFunction(kind);
    return { y: { dtype: 'f32', shape: i.gate.shape } };
  },
  reference({ gate, up }, { y }: { y: F32 }, { kind }) {
    const { value } = activationFunction(kind);
    for (let i = 0; i < elementCount(y.shape); i++) y.data[i] = value(gate.data[i]!) * up.data[i]!;
  },
});

/** dUp = dy · f(gate),  dGate = dy · up · f′(gate). dGate may be handed in as the very array of dy, dUp as that of up. */
export const activationGateBackward = defineOp({
  name: 'activation-gate-backward',
  overwrites: { dGate: ['dy'], dUp: ['up'] },
  shapes(i: { gate: F32; up: F32; dy: F32 }, { kind }: ActivationAttributes) {
    assertShape('activation-gate-backward', 'dy', i.dy.shape, i.gate.shape);
    activationFunction(kind);
    return { dGate: { dtype: 'f32', shape: i.gate.shape }, dUp: { dtype: 'f32', shape: i.gate.shape } };
  },
  reference({ gate, up, dy }, { dGate, dUp }: { dGate: F32; dUp: F32 }, { kind }) {
    const { value, slope } = activationFunction(kind);
    for (let i = 0; i < elementCount(dGate.shape); i++) {
      const g = gate.data[i]!, d = dy.data[i]!;
      dGate.data[i] = d * up.data[i]! * slope(g);
      dUp.data[i] = d * value(g);
    }
  },
});

export const differentiableActivationGate: DifferentiableOp<typeof activationGate> = {
  op: activationGate,
  backward({ run, inputs, gradients, attributes, spare, take }) {
    const { dGate, dUp } = run(activationGateBackward, { ...inputs, dy: gradients.y }, attributes, { dGate: spare('y'), dUp: take('up') });
    return { gate: dGate, up: dUp };
  },
};
