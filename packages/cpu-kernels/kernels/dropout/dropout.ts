import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { dropout } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const dropoutKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('dropout');
  return [
    bindKernel(dropout, ({ x, counter }, { y }, { probability, key }) => {
      call(x, counter, y, elementCount(x.shape), probability, key >>> 0);
    }),
  ];
};
