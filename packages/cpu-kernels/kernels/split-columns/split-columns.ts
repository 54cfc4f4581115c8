import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { joinColumns, splitColumns } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const splitColumnsKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const split = native('splitColumns');
  const join = native('joinColumns');
  return [
    bindKernel(splitColumns, ({ x }, { first, second, third }, { groups, widths: [a, b, c = 0] }) => {
      split(x.data, first.data, second.data, third?.data, x.shape[0]! * groups, a, b, c);
    }),
    bindKernel(joinColumns, ({ first, second, third }, { x }, { groups, widths: [a, b, c = 0], tokens }) => {
      join(first?.data, second?.data, third?.data, x.data, tokens * groups, a, b, c);
    }),
  ];
};
