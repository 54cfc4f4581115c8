import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { activation, activationBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const activationKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const forward = native('activation');
  const backward = native('activationBackward');
  return [
    bindKernel(activation, ({ x }, { y }, { kind }) => {
      forward(x, y, elementCount(y.shape), ACTIVATION_KINDS.indexOf(kind));
    }),
    bindKernel(activationBackward, ({ x, dy }, { dx }, { kind }) => {
      backward(x, dy, dx, elementCount(dx.shape), ACTIVATION_KINDS.indexOf(kind));
    }),
  ];
};
