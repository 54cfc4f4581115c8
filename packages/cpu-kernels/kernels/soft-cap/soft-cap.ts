import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { softCap, softCapBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const softCapKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const forward = native('softCap');
  const backward = native('softCapBackward');
  return [
    bindKernel(softCap, ({ x }, { y }, { cap }) => {
      forward(x, y, elementCount(y.shape), cap);
    }),
    bindKernel(softCapBackward, ({ y, dy }, { dx }, { cap }) => {
      backward(y, dy, dx, elementCount(dx.shape), cap);
    }),
  ];
};
