import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { fill } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const fillKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('fill');
  return [
    bindKernel(fill, (_, { y }, { value }) => {
      call(y, elementCount(y.shape), value);
    }),
  ];
};
