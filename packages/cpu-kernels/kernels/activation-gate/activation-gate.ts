import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { activationGate, activationGateBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const activationGateKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const forward = native('activationGate');
  const backward = native('activationGateBackward');
  return [
    bindKernel(activationGate, ({ gate, up }, { y }, { kind }) => {
      forward(gate, up, y, elementCount(y.shape), ACTIVATION_KINDS.indexOf(kind));
    }),
    bindKernel(activationGateBackward, ({ gate, up, dy }, { dGate, dUp }, { kind }) => {
      backward(gate, up, dy, dGate, dUp, elementCount(dy.shape), ACTIVATION_KINDS.indexOf(kind));
    }),
  ];
};
