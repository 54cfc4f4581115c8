import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { siluGate, siluGateBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const siluGateKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const forward = native('siluGate'), backward = native('siluGateBackward');
  return [
    bindKernel(siluGate, ({ gate, up }, { y }) => { forward(gate.data, up.data, y.data, elementCount(y.shape)); }),
    bindKernel(siluGateBackward, ({ gate, up, dy }, { dGate, dUp }) => { backward(gate.data, up.data, dy.data, dGate.data, dUp.data, elementCount(dy.shape)); }),
  ];
};
