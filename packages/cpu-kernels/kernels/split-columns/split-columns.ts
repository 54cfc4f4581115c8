import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { joinColumns, splitColumns } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const splitColumnsKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const split = native('splitColumns');
  const join = native('joinColumns');
  return [
    bindKernel(splitColumns, ({ x }, { first, second, third }, { groups, widths: [a, b, c = 0] }) => {
      split(x, first, second, third, x.shape[0] * groups, a, b, c);
    }),
    bindKernel(joinColumns, ({ first, second, third }, { x }, { groups, widths: [a, b, c = 0], tokens }) => {
      join(first, second, third, x, tokens * groups, a, b, c);
    }),
  ];
};
