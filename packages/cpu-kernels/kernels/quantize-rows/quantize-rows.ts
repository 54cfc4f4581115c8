import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const quantizeRowsKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('quantizeRows');
  return [
    bindKernel(quantizeRows, ({ weight }, { codes, scales }) => {
      call(weight, codes, scales, weight.shape[0], weight.shape[1]);
    }),
  ];
};
