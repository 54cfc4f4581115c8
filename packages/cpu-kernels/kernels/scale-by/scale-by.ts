import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { scaleBy } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const scaleByKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('scaleBy');
  return [
    bindKernel(scaleBy, ({ x, factor }, { y }) => {
      call(x, factor, y, elementCount(y.shape));
    }),
  ];
};
