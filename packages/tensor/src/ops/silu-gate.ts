import { elementCount, assertShape, defineOp, type ArrayView } from '@qdylora/contract';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

/** y = silu(gate) · up, silu(z) = z·sigmoid(z).  gate, up: [tokens, width]  →  y: [tokens, width]  (Shazeer 2020, SwiGLU) */
export const siluGate = defineOp({
  name: 'silu-gate',
  shapes(i: { gate: F32; up: F32 }, _: Record<string, never>) {
    assertShape('silu-gate', 'up', i.up.shape, i.gate.shape);
    return { y: { dtype: 'f32', shape: i.gate.shape } };
  },
  reference({ gate, up }, { y }: { y: F32 }) {
    for (let i = 0; i < elementCount(y.shape); i++) y.data[i] = gate.data[i]! * sigmoid(gate.data[i]!) * up.data[i]!;
  },
});

/** With s = sigmoid(gate):  dUp = dy·gate·s,  dGate = dy·up·s·(1 + gate·(1 − s)). dGate may be handed in as the very array of dy. */
export const siluGateBackward = defineOp({
  name: 'silu-gate-backward',
  overwrites: { dGate: ['dy'] },
  shapes(i: { gate: F32; up: F32; dy: F32 }, _: Record<string, never>) {
    assertShape('silu-gate-backward', 'dy', i.dy.shape, i.gate.shape);
    return { dGate: { dtype: 'f32', shape: i.gate.shape }, dUp: { dtype: 'f32', shape: i.gate.shape } };
  },
  reference({ gate, up, dy }, { dGate, dUp }: { dGate: F32; dUp: F32 }) {
    for (let i = 0; i < elementCount(dGate.shape); i++) {
      const g = gate.data[i]!, s = sigmoid(g), d = dy.data[i]!;
      dGate.data[i] = d * up.data[i]! * s * (1 + g * (1 - s));
      dUp.data[i] = d * g * s;
    }
  },
});

export const differentiableSiluGate: DifferentiableOp<typeof siluGate> = {
  op: siluGate,
  backward({ run, inputs, gradients, spare }) {
    const { dGate, dUp } = run(siluGateBackward, { ...inputs, dy: gradients.y }, {}, { dGate: spare('y') });
    return { gate: dGate, up: dUp };
  },
};
