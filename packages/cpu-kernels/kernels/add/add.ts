import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { add, addInto } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const addKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const sum = native('add');
  const sumInto = native('addInto');
  return [
    bindKernel(add, ({ a, b }, { y }) => {
      sum(a.data, b.data, y.data, elementCount(y.shape));
    }),
    bindKernel(addInto, ({ x }, outputs) => {
      if (outputs.sum) sumInto(x.data, outputs.sum.data, elementCount(x.shape));
    }),
  ];
};
