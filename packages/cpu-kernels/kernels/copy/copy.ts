import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { copy } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const copyKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('copy');
  return [
    bindKernel(copy, ({ x }, { y }) => {
      call(x, y, elementCount(x.shape));
    }),
  ];
};
